"""The distribution that a row samples from does not depend on the other rows of its batch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import ROUND_CEILING, Context

from patchkit.gates.invariants.base import Broken, Figures, Params, SummaryClause, invariant, parts_of
from patchkit.gates.part_run import Run

UPWARDS = Context(prec=1, rounding=ROUND_CEILING)


class Independent(Params, frozen=True):
    """``positions``: how many must have been compared; what is allowed is ``tolerance + noise * plain``.

    A batch of another size rounds differently, in bfloat16 visibly so. Plain vLLM's difference is measured in the same
    run on the same prompts; the runtime's may be ``noise`` times as large, since it multiplies logits.
    """

    positions: int = 8
    tolerance: float = 1e-3
    noise: float = 5.0

    def __post_init__(self) -> None:
        self.at_least(1, "positions")
        if not 0 <= self.tolerance < 1:
            raise ValueError("tolerance must lie between 0 and 1, which every distance is within")
        if self.noise < 0:
            raise ValueError("noise must be 0 or more: how much more than plain vLLM's own is allowed")


def largest(figures: Figures) -> list[str]:
    """``total variation ≤ 2e-06``: a bound, so it is rounded up."""
    distances = [value for _, value in parts_of(figures, "max_total_variation")]
    return [f"total variation ≤ {float(UPWARDS.create_decimal(str(max(distances)))):.1g}"] if distances else []


@invariant(
    params=Independent, clauses=(SummaryClause(40, largest),), watch="distributions", passes=("plain", "patched")
)
def independent(run: Run, params: Independent, figures: Figures) -> Iterator[Broken]:
    """Each watched prompt's distributions agree, alone and beside other rows, over enough positions."""
    entries = (run.result.independence if run.result else None) or []
    watched = [entry for entry in entries if entry.pass_ == "patched"]
    plain = {entry.prompt: entry.max_total_variation for entry in entries if entry.pass_ == "plain"}
    if not watched:
        yield Broken("no watched prompt's distributions were compared")
        return
    figures["compared_positions"] = sum(entry.positions for entry in watched)
    figures["max_total_variation"] = max((entry.max_total_variation or 0.0 for entry in watched), default=0.0)
    figures["plain_total_variation"] = max((distance or 0.0 for distance in plain.values()), default=0.0)
    for entry in watched:
        distance, floor = entry.max_total_variation, plain.get(entry.prompt)
        if floor is None or not math.isfinite(floor):
            yield Broken(f"prompt {entry.prompt} was not compared under plain vLLM")
            continue
        allowed = params.tolerance + params.noise * floor
        if distance is None or not math.isfinite(distance) or distance > allowed:
            said = f"total variation {distance:.3g}" if distance is not None else "no total variation"
            yield Broken(
                f"prompt {entry.prompt} samples otherwise in company than alone: {said} at position {entry.at}, "
                f"{allowed:.3g} allowed, plain vLLM's is {floor:.3g}",
                entry.at,
            )
        elif entry.positions < params.positions:
            yield Broken(f"prompt {entry.prompt}: {entry.positions} positions compared, {params.positions} needed")
