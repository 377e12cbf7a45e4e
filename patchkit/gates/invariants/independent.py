"""What a row samples from does not depend on who shares its batch."""

from __future__ import annotations

import math
from collections.abc import Iterator

from patchkit.gates.invariants.base import Broken, Figures, Params, invariant
from patchkit.gates.run import Run


class Independent(Params, frozen=True):
    """``positions``: how many must have been compared; ``tolerance``: of the total variation distance.

    On CUDA, bfloat16 kernels round by the size of the batch, hence a tolerance of its own.
    """

    positions: int = 8
    tolerance: float = 1e-3
    tolerance_on_cuda: float = 2e-2

    def __post_init__(self) -> None:
        self.at_least(1, "positions")
        for name in ("tolerance", "tolerance_on_cuda"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie between 0 and 1, which every distance is within")


@invariant(params=Independent, watch="distributions")
def independent(run: Run, params: Independent, figures: Figures) -> Iterator[Broken]:
    """Each watched prompt's distributions agree, alone and in company, over enough positions."""
    watched = run.result.independence if run.result else None
    if not watched:
        yield Broken("no watched prompt's distributions were compared")
        return
    figures["compared_positions"] = sum(entry.positions for entry in watched)
    figures["max_total_variation"] = max((entry.max_total_variation or 0.0 for entry in watched), default=0.0)
    allowed = params.tolerance_on_cuda if run.ready and run.ready.device == "cuda" else params.tolerance
    for entry in watched:
        distance = entry.max_total_variation
        if distance is None or not math.isfinite(distance) or distance > allowed:
            said = f"total variation {distance:.3g}" if distance is not None else "no total variation"
            yield Broken(
                f"prompt {entry.prompt} samples otherwise in company than alone: {said} at position {entry.at}, "
                f"{allowed:g} allowed",
                entry.at,
            )
        elif entry.positions < params.positions:
            yield Broken(f"prompt {entry.prompt}: {entry.positions} positions compared, {params.positions} needed")
