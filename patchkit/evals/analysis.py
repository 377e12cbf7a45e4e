"""The judgement of a cell: a pure function of its counts."""

from __future__ import annotations

from collections.abc import Iterable

from patchkit.evals.outcome import outcome_of
from patchkit.evals.paired import ALPHA, solved
from patchkit.evals.passatk import PassAtK
from patchkit.evals.power import needed
from patchkit.evals.probe_figures import seen
from patchkit.evals.recommendation import advise
from patchkit.evals.records import BASELINE, Cell, Judgement, Rate


def curves(cell: Cell) -> dict[str, list[Rate]]:
    """pass@k of every mode, for every k from 1 to n.

    Raises:
        ValueError: the cell's counts do not fit its problems or n.
    """
    return {mode: _rates(cell, mode).curve() for mode in cell.modes}


def judge(cell: Cell, mode: str) -> Judgement:
    """What ``mode`` does to the cell, against the baseline.

    Raises:
        ValueError: the cell has no such mode or no baseline, or its counts do not fit its problems or n.
    """
    if mode == BASELINE:
        raise ValueError("the baseline cannot be judged against itself")
    after, before = _rates(cell, mode), _rates(cell, BASELINE)
    changes = after.against(before)
    ends = [needed(after, before, k) for k in sorted({1, cell.n})]
    outcome, why = outcome_of(changes, ends, len(cell.problems))
    figures = seen(cell, mode)
    advice, because = advise(cell, mode, outcome, changes, figures)
    trials = zip(cell.modes[BASELINE], cell.modes[mode], strict=False)  # a mode may have had more trials
    return Judgement(
        mode=mode,
        outcome=outcome,
        why=why,
        advice=advice,
        because=because,
        changes=changes,
        solved=[solved(cell.problems, number, old.correct, new.correct) for number, (old, new) in enumerate(trials)],
        needed=ends,
        seen=figures,
    )


def expected_false(judgements: Iterable[Judgement]) -> float:
    """So many of the changes at k = 1 and k = n, at most, are expected to look real where none is."""
    return ALPHA * sum(len(judgement.needed) for judgement in judgements)


def _rates(cell: Cell, mode: str) -> PassAtK:
    if not cell.modes.get(mode):
        raise ValueError(f"{cell.model} on {cell.task} has no trial of {mode}")
    rates = PassAtK([trial.correct for trial in cell.modes[mode]], cell.n)
    if rates.problems != len(cell.problems):
        raise ValueError(f"{cell.model} on {cell.task}: {rates.problems} counts for {len(cell.problems)} problems")
    return rates
