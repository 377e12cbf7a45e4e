"""The runtime's counters equal what the worker counted itself, at every step and in total."""

from __future__ import annotations

from collections.abc import Iterator

from patchkit.gates.events import Step
from patchkit.gates.invariants.base import Broken, Figures, Params, count_clause, invariant
from patchkit.gates.part_run import Run
from patchkit.plural import counted

KINDS = ("zero", "decode_rows", "decode_steps", "steps")  # reported in this order


@invariant(clauses=(count_clause(90, "decode_rows", "{} decode rows"),))
def counts_equal(run: Run, params: Params, figures: Figures) -> Iterator[Broken]:
    """Each counter is what the runtime's manifest declares, at every step; nothing is counted between steps."""
    if not run.decoding:
        yield Broken("no decode step with the runtime was seen")
        return
    if not run.declared("decode_rows"):
        yield Broken(run.undeclared("counter that must be decode_rows"))
        return
    figures["decode_rows"] = sum(step.shape.decode_rows for step in run.decoding)
    for step in run.patched:
        what = differs(run, step)
        if what:
            yield Broken.at(step, what)
            return
    yield from totals_differ(run)


def differs(run: Run, step: Step) -> str:
    """How the runtime's counts of one step differ from the worker's, or an empty string."""
    if step.runtime is None:
        return "the runtime counted nothing"
    missing = [name for name in run.declared(*KINDS) if step.runtime.get(name) is None]
    if missing:
        return f"the runtime does not count {', '.join(missing)}"
    rows = step.shape.decode_rows
    for kind in KINDS:
        for name in run.declared(kind):
            found, words = step.of(name), name.replace("_", " ")
            if kind == "zero" and found:
                return f"{words} {found:g}, must be 0: {run.counters[name].means}"
            if kind == "decode_rows" and found != rows:
                return f"{words} {found:g}, the worker counted {counted(rows, 'decode row')}"
            if kind == "decode_steps" and found != min(rows, 1):
                return f"{words} {found:g} where {min(rows, 1)} was due"
            if kind == "steps" and found != 1:
                return f"{words} {found:g} in a step that ran the model"
    return ""


def totals_differ(run: Run) -> Iterator[Broken]:
    """A pass's own totals against the sum over its steps: nothing was counted between steps."""
    for done in run.passes("patched"):
        steps = run.steps_of(done)
        for counter in run.declared(*KINDS):
            total, summed = (done.counters or {}).get(counter), sum(step.of(counter) for step in steps)
            if total != summed:
                yield Broken(f"{counter.replace('_', ' ')} {total} over the pass, {summed:g} over its steps")
                return
