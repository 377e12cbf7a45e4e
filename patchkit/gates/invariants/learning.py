"""The distiller learns: its loss is finite, above zero, and falls against the identity predictor on the same rows.

Counters alone prove nothing: under CUDA graphs a run showed 64 loss steps while its loss was exactly 0.0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median

from patchkit.gates.events import count
from patchkit.gates.invariants.base import Broken, Figures, Params, invariant
from patchkit.gates.run import Run


class Learning(Params, frozen=True):
    """``fall``: by which part the loss against identity must fall from the first quarter of the steps to the last."""

    fall: float = 0.1
    min_steps: int = 16

    def __post_init__(self) -> None:
        self.at_least(8, "min_steps")
        if not 0 < self.fall < 1:
            raise ValueError("fall must lie between 0 and 1")


@invariant(params=Learning, watch="gold")
def learning(run: Run, params: Learning, figures: Figures) -> Iterator[Broken]:
    """Median of loss / identity loss: the last quarter's is below the first's by ``fall``."""
    steps = run.decoding
    if len(steps) < params.min_steps:
        yield Broken(f"{count(len(steps), 'decode step')} to learn from, {params.min_steps} needed")
        return
    losses: list[float] = []
    ratios: list[float] = []
    for step in steps:
        loss, identity = (step.runtime or {}).get("loss"), step.gold.identity_loss if step.gold else None
        if loss is None or not math.isfinite(loss) or loss <= 0:
            yield Broken.at(step, f"loss {loss}" if loss is not None else "no loss")
            return
        if identity is None or not math.isfinite(identity) or identity <= 0:
            yield Broken.at(step, f"identity loss {identity}: nothing to measure the loss against")
            return
        losses.append(loss)
        ratios.append(loss / identity)
    quarter = len(ratios) // 4
    first, last = median(ratios[:quarter]), median(ratios[-quarter:])
    figures.update(loss_first=losses[0], loss_last=losses[-1], ratio_first=first, ratio_last=last)
    if len(set(losses)) == 1:
        yield Broken(f"loss {losses[0]:.4g} at every one of {count(len(losses), 'decode step')}: nothing is learnt")
    elif last > first * (1 - params.fall):
        yield Broken(
            f"loss against identity went from {first:.3f} to {last:.3f} over {count(len(losses), 'decode step')}, "
            f"it must fall by {params.fall:.0%}"
        )
