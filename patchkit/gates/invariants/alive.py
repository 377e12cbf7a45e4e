"""The runtime's counters are above zero: good text does not prove that its hooks run."""

from __future__ import annotations

from collections.abc import Iterator

from patchkit.gates.invariants.base import Broken, Figures, Params, invariant
from patchkit.gates.part_run import Run
from patchkit.plural import counted

KINDS = ("decode_rows", "decode_steps", "positive")


class Alive(Params, frozen=True):
    """Which counters must be above zero; by default all that the runtime declares as such."""

    counters: tuple[str, ...] = ()


@invariant(params=Alive)
def alive(run: Run, params: Alive, figures: Figures) -> Iterator[Broken]:
    """Every counter, summed over the decode steps, is above zero."""
    steps = run.decoding
    if not steps:
        yield Broken("no decode step with the runtime was seen")
        return
    unknown = [name for name in params.counters if name not in run.counters]
    if unknown:
        yield Broken(run.undeclared(f"counter {', '.join(unknown)}"))
        return
    wanted = params.counters or run.declared(*KINDS)
    if not wanted:
        yield Broken(run.undeclared(f"counter that must be {', '.join(KINDS[:-1])} or {KINDS[-1]}"))
        return
    sums = {counter: sum(step.of(counter) for step in steps) for counter in wanted}
    figures["decode_steps"] = len(steps)
    dead = [f"{counter.replace('_', ' ')} {total:g}" for counter, total in sums.items() if not total > 0]
    if dead:
        yield Broken(f"{', '.join(dead)} over {counted(len(steps), 'decode step')}")
