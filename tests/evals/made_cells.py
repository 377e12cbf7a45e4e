"""Cells made by hand: counts of each problem in each trial."""

from __future__ import annotations

from typing import Any

from patchkit.evals.records import Cell, Trial

Counts = list[list[int]]


def made_cell(baseline: Counts, esamp: Counts, n: int, **more: Any) -> Cell:
    """A cell of two modes; ``more`` is set on the cell."""
    modes = {
        mode: [Trial(seed=number, correct=correct) for number, correct in enumerate(trials)]
        for mode, trials in (("baseline", baseline), ("esamp", esamp))
    }
    problems = [f"p{number}" for number in range(len(baseline[0]))]
    return Cell(model="m", task="t", n=n, problems=problems, modes=modes, **more)
