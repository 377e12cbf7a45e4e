"""What a runtime's probe saw in a draw, over all processes: a verdict needs the worst of them, and to know each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from patchkit.evals.record import Cell, FigureSeen, Trial, Wanted

MOST = 1e300  # larger is no figure, and neither is what compares with nothing


def seen(cell: Cell, mode: str) -> list[FigureSeen]:
    """Every figure that the cell needs, in one mode."""
    return [
        _seen(wanted, [one for trial in cell.modes[mode] for one in values(trial, wanted.figure)])
        for wanted in cell.figures
    ]


def values(trial: Trial, figure: str) -> list[float | None]:
    """A figure in each process of a trial; None where it is not known, or no finite number."""
    return [number(told.get(figure)) if told else None for told in trial.observed or [None]]


def number(value: Any) -> float | None:
    """A finite number, or None for anything else."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and -MOST < value < MOST
    return float(value) if known else None


def _seen(wanted: Wanted, found: Iterable[float | None]) -> FigureSeen:
    every = list(found)
    known = [value for value in every if value is not None]
    return FigureSeen(
        wanted=wanted,
        processes=len(every),
        known=len(known),
        above=sum(value > wanted.above for value in known),
        lowest=min(known, default=None),
        highest=max(known, default=None),
    )
