"""The runtime's totals agree, where nothing is observed step by step: a timed pass must not be a dead one."""

from __future__ import annotations

from collections.abc import Iterator

from patchkit.gates.invariants.base import Broken, Figures, Params, invariant
from patchkit.gates.run import Run

ROWS = ("decode_rows", "captured_rows", "intervened_rows")
STEPS = ("port_hits", "distiller_steps")


@invariant()
def totals(run: Run, params: Params, figures: Figures) -> Iterator[Broken]:
    """In every pass rows decoded, captured and intervened on are as many, and hits as training steps; none is zero."""
    done = run.passes("patched")
    if not done:
        yield Broken("no pass with the runtime")
    for one in done:
        counters = one.counters or {}
        for names in (ROWS, STEPS):
            counted = {name: counters.get(name) for name in names}
            if len(set(counted.values())) != 1 or not all(counted.values()):
                said = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in counted.items())
                yield Broken(f"repeat {one.repeat}: {said}")
                return
        if counters.get("unmapped_rows") or not counters.get("loss_finite"):
            yield Broken(
                f"repeat {one.repeat}: unmapped rows {counters.get('unmapped_rows')}, loss {counters.get('loss_last')}"
            )
            return
