"""The runtime's totals agree where steps are not observed: the runtime must be active in a timed pass too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from patchkit.gates.events import Pass
from patchkit.gates.invariants.base import Broken, Figures, Params, invariant
from patchkit.gates.part_run import Run

ALIKE = ("decode_rows", "decode_steps")


@invariant()
def totals(run: Run, params: Params, figures: Figures) -> Iterator[Broken]:
    """In every pass all counters of decode rows are equal, and all of decode steps; none is zero."""
    done = run.passes("patched")
    if not done:
        yield Broken("no pass with the runtime")
    if not run.declared(*ALIKE):
        yield Broken(run.undeclared(f"counter that must be {' or '.join(ALIKE)}"))
        return
    for one in done:
        what = disagreement(run, one)
        if what:
            yield Broken(f"repeat {one.repeat}: {what}")
            return


def disagreement(run: Run, done: Pass) -> str:
    """What does not agree in one pass, or an empty string."""
    counters = done.counters or {}
    for kind in ALIKE:
        found = {name: counters.get(name) for name in run.declared(kind)}
        if found and (len(set(found.values())) != 1 or not all(found.values())):
            return listed(found)
    dead = {name: counters.get(name) for name in run.declared("positive") if not (counters.get(name) or 0) > 0}
    wrong = {name: counters.get(name) for name in run.declared("zero") if counters.get(name) != 0}
    return listed(dead | wrong)


def listed(found: dict[str, Any]) -> str:
    """``decode rows 8, captured rows 7``."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in found.items())
