"""Checks of a server whose own strength is 0: it moves nothing but for requests that ask for more."""

import json
from functools import cache
from typing import Any

from patchkit_probe.expect import require
from patchkit_probe.processes import SETTINGS, entry_point, pair, reference, unlike, variable


def moves_who_asks_alone(context: Any) -> None:
    """A request with a strength gets its tokens, one without plain vLLM's; alone, and beside each other."""
    llm, expected = served(context), reference(context)
    strength = {"esamp_beta": SETTINGS["beta"]}
    for first, second in ((strength, None), (strength, strength), (None, None)):
        found = pair(llm, first, second)
        wanted = [*expected["pair" if first else "plain"][:2], *expected["pair" if second else "plain"][2:]]
        require(found == wanted, f"{first} beside {second}: {unlike(found, wanted)}")


@cache
def served(context: Any) -> Any:
    """An engine that is made once the entry point was called with a strength of 0."""
    reference(context)
    with variable(json.dumps({**SETTINGS, "beta": 0})):
        entry_point(context)()
    return context.engine(1)


checks = [moves_who_asks_alone]
