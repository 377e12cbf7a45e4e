"""A runtime that is dead is loud: the server answers with an error, its health is bad, and its log says why."""

from __future__ import annotations

import re
from collections.abc import Iterator

from patchkit.gates.invariants.base import Broken, Figures, Params, invariant
from patchkit.gates.part_run import Run

DEAD = (503, None)  # HTTP status; None: it no longer answers


class Naming(Params, frozen=True):
    """``naming``: a regular expression that a line of the log must match; without it, any that names the runtime."""

    naming: str = ""

    def __post_init__(self) -> None:
        try:
            re.compile(self.naming)
        except re.error as error:
            raise ValueError(f"naming: {self.naming!r} is no regular expression: {error}") from None


@invariant(params=Naming)
def unhealthy(run: Run, params: Naming, figures: Figures) -> Iterator[Broken]:
    """The last call fails, no token is returned, and health and log say so."""
    exchanges = run.result.exchanges if run.result else []
    last = exchanges[-1] if exchanges else None
    if last is None:
        yield Broken("the server was not asked")
        return
    tokens = sum(len(output.token_ids) for output in last.outputs)
    if tokens or not last.error:
        yield Broken(f"{last.name}: {tokens} tokens came back from a runtime that is dead")
    if last.health not in DEAD:
        yield Broken(f"the server's health is {last.health}")
    log = run.result.log if run.result else []
    if not any(re.search(params.naming, line) for line in log):
        shown = log[-1][-200:] if log else "it does not name the runtime"
        yield Broken(f"no line of the server's log matches {params.naming!r}: {shown}")
