"""Whatever lies behind the rows in use was overwritten between steps, so that reading it shows."""

from __future__ import annotations

from collections.abc import Iterator

from patchkit.gates.invariants.base import Broken, Figures, Params, count_clause, invariant
from patchkit.gates.part_run import Run


@invariant(watch="poison", clauses=(count_clause(80, "poisoned_steps", "poisoned after {} steps"),))
def poisoned(run: Run, params: Params, figures: Figures) -> Iterator[Broken]:
    """The runtime's probe poisoned after every step; what comes of it is for the other invariants to see."""
    if run.runtime is None or run.runtime.probe is None:
        name = run.runtime.name if run.runtime else "the runtime"
        yield Broken(f"{name} has no probe to poison with: write patches/{name}/gates/probe.py")
        return
    figures["poisoned_steps"] = sum(step.poisoned for step in run.patched)
    for step in run.patched:
        if not step.poisoned:
            yield Broken.at(step, "nothing was poisoned")
            return
    if not run.patched:
        yield Broken("no step with the runtime was seen")
