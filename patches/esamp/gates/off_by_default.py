"""Checks of a server that has the runtime off for requests that do not ask for it."""

import json
from functools import cache
from typing import Any

from patchkit_probe.expect import require
from patchkit_probe.processes import SETTINGS, TOKENS, counters, entry_point, pair, reference, unlike, variable


ROWS = 2 * 2 * (TOKENS - 1)  # of two prompts with two samples each


def leaves_alone_who_does_not_ask(context: Any) -> None:
    """Plain vLLM's tokens, and rows that are counted as such."""
    llm, expected = served(context), reference(context)["plain"]
    before = counters(llm)
    found = pair(llm, None, {"other": 1})
    after = counters(llm)
    require(found == expected, unlike(found, expected))
    require(after["intervened_rows"] == before["intervened_rows"], "rows were moved")
    require(after["plain_rows"] - before["plain_rows"] == ROWS, f"{after['plain_rows']} rows were left alone")


def acts_for_who_asks(context: Any) -> None:
    """By the switch, or by a strength of its own; beside one that does not ask."""
    llm, expected = served(context), reference(context)
    for wanted in ({"esamp": 1}, {"esamp": True}, {"esamp_beta": SETTINGS["beta"]}):
        found = pair(llm, wanted, None)
        require(found[:2] == expected["pair"][:2], f"{wanted}: {unlike(found[:2], expected['pair'][:2])}")
        require(found[2:] == expected["plain"][2:], f"beside {wanted}: {unlike(found[2:], expected['plain'][2:])}")
    found = pair(llm, {"esamp": 0, "esamp_beta": 0.5}, {"esamp": 0})
    require(found == expected["plain"], f"the switch is not above the strength: {unlike(found, expected['plain'])}")


@cache
def served(context: Any) -> Any:
    """An engine that is made once the entry point was called with the runtime off by default."""
    reference(context)
    with variable(json.dumps({**SETTINGS, "enabled": False})):
        entry_point(context)()
    return context.engine(1)


checks = [leaves_alone_who_does_not_ask, acts_for_who_asks]
