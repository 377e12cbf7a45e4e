"""The runtime's counters are above zero: text that reads well proves nothing about a hook that is dead."""

from __future__ import annotations

from collections.abc import Iterator

from patchkit.gates.events import count
from patchkit.gates.invariants.base import Broken, Figures, Params, invariant
from patchkit.gates.run import Run

COUNTERS = ("port_hits", "captured_rows", "intervened_rows", "distiller_steps", "candidate_tokens")


class Alive(Params, frozen=True):
    """Which counters must be above zero."""

    counters: tuple[str, ...] = COUNTERS


@invariant(params=Alive)
def alive(run: Run, params: Alive, figures: Figures) -> Iterator[Broken]:
    """Every counter, summed over the decode steps, is above zero."""
    steps = run.decoding
    if not steps:
        yield Broken("no decode step with the runtime was seen")
        return
    sums = {counter: sum(step.of(counter) for step in steps) for counter in params.counters}
    figures["decode_steps"] = len(steps)
    dead = [f"{counter.replace('_', ' ')} {total:g}" for counter, total in sums.items() if not total > 0]
    if dead:
        yield Broken(f"{', '.join(dead)} over {count(len(steps), 'decode step')}")
