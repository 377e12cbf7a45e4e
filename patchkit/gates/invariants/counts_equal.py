"""The runtime's counters equal what the worker counted itself, at every step and in sum."""

from __future__ import annotations

from collections.abc import Iterator

from patchkit.gates.events import Step, count
from patchkit.gates.invariants.base import Broken, Figures, Params, invariant
from patchkit.gates.invariants.credited import unmapped
from patchkit.gates.run import Run

ROWS = ("decode_rows", "captured_rows", "intervened_rows")
TOTALS = (*ROWS, "distiller_steps", "unmapped_rows")


@invariant()
def counts_equal(run: Run, params: Params, figures: Figures) -> Iterator[Broken]:
    """Decode rows = captured rows = rows intervened on; one distiller step a decode step; no row without a request."""
    if not run.decoding:
        yield Broken("no decode step with the runtime was seen")
        return
    figures["decode_rows"] = sum(step.shape.decode_rows for step in run.decoding)
    for step in run.patched:
        what = differs(step)
        if what:
            yield Broken.at(step, what)
            return
    yield from totals_differ(run)


def differs(step: Step) -> str:
    """What the runtime counted otherwise than the worker in one step, or nothing."""
    if step.runtime is None:
        return "the runtime counted nothing"
    rows = step.shape.decode_rows
    missing = [counter for counter in TOTALS if step.runtime.get(counter) is None]
    if missing:
        return f"the runtime does not count {', '.join(missing)}"
    if step.of("unmapped_rows"):
        return unmapped(step)
    for counter in ROWS:
        if step.of(counter) != rows:
            return f"{counter.replace('_', ' ')} {step.of(counter):g}, the worker counted {count(rows, 'decode row')}"
    trained = 1 if rows else 0
    if step.of("distiller_steps") != trained:
        return f"{count(step.of('distiller_steps'), 'distiller step')} where {trained} was due"
    return ""


def totals_differ(run: Run) -> Iterator[Broken]:
    """A pass's own totals against the sum over its steps: nothing was counted between steps."""
    for done in run.passes("patched"):
        steps = [step for step in run.patched if step.repeat == done.repeat]
        for counter in TOTALS:
            total, summed = (done.counters or {}).get(counter), sum(step.of(counter) for step in steps)
            if total != summed:
                yield Broken(f"{counter.replace('_', ' ')} {total} over the pass, {summed:g} over its steps")
                return
