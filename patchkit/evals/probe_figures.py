"""The figures of a runtime's probe in a draw, over all processes: a verdict needs the worst of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from patchkit.evals.number_format import signed
from patchkit.evals.records import Cell, FigureSeen, RequiredFigure, Trial
from patchkit.plural import counted

MOST = 1e300  # larger is no figure, and neither is what compares with nothing


def seen(cell: Cell, mode: str) -> list[FigureSeen]:
    """Every figure that the cell needs, in one mode."""
    return [
        _seen(wanted, [one for trial in cell.modes[mode] for one in values(trial, wanted.figure)])
        for wanted in cell.figures
    ]


def values(trial: Trial, figure: str) -> list[float | None]:
    """A figure in each process of a trial; None where it is not known, or no finite number."""
    return [number(figures.get(figure)) if figures else None for figures in trial.observed or [None]]


def number(value: Any) -> float | None:
    """A finite number, or None for anything else."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and -MOST < value < MOST
    return float(value) if known else None


def shown(seen: FigureSeen) -> str:
    """``score 0.12 at worst, above 0 in 4 of 4 processes``; or that it is not known."""
    name, every = seen.wanted.figure, counted(seen.processes, "process", "processes")
    if seen.lowest is None:
        return f"{name} is not known, in {every}"
    worst = f"{name} {signed(seen.lowest)}" + " at worst" * (seen.known > 1)
    unknown = seen.processes - seen.known
    more = f", not known in {unknown}" if unknown else ""
    return f"{worst}, above {signed(seen.wanted.above)} in {seen.above} of {every}{more}"


def _seen(wanted: RequiredFigure, found: Iterable[float | None]) -> FigureSeen:
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
