"""Two modes on the same problems: is the difference more than chance?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from patchkit.evals.bootstrap import NO_CHANGE, SEED, Floats
from patchkit.evals.records import Change, Solved

EXACT = 18  # so many moved problems are few enough to flip in every way there is
FLIPS = 19_999
ALPHA = 0.05


def mcnemar(gained: int, lost: int) -> float:
    """Exact and two-sided: had each problem that moved been as likely to move the other way (McNemar 1947)."""
    if gained < 0 or lost < 0:
        raise ValueError(f"{gained} gained and {lost} lost: neither can be less than none")
    return float(stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def sign_flip(rows: Floats) -> list[float]:
    """Two-sided p of each row of problems' differences: how often random signs make a sum as far from zero.

    Exact while few problems moved; else by the same random flips for every row, the one observed counted in. For whole
    problems gained and lost it is :func:`mcnemar`.
    """
    signs = np.random.default_rng(SEED).choice([-1.0, 1.0], (FLIPS, rows.shape[1]))
    return [_flipped(row[np.abs(row) > NO_CHANGE], row, signs) for row in rows]


def _flipped(moved: Floats, row: Floats, signs: Floats) -> float:
    least = abs(row.sum()) - 1e-9
    if moved.size > EXACT:
        return float((1 + np.sum(np.abs(signs @ row) >= least)) / (1 + FLIPS))
    sums = np.zeros(1)
    for one in moved:
        sums = np.concatenate([sums + one, sums - one])
    return float(np.mean(np.abs(sums) >= least))


def direction(change: Change) -> int:
    """1 or -1 where the interval, the test, and the noise between baseline trials, if measured, all say so; else 0."""
    resolved = (change.low > 0 or change.high < 0) and change.p < ALPHA
    if not resolved or (change.noise is not None and abs(change.difference) <= change.noise):
        return 0
    return 1 if change.difference > 0 else -1


def solved(problems: Sequence[str], trial: int, before: Sequence[int], after: Sequence[int]) -> Solved:
    """The problems gained and lost, given how many samples of each problem were right in one trial."""
    pairs = list(zip(problems, before, after, strict=True))
    gained = [problem for problem, old, new in pairs if new and not old]
    lost = [problem for problem, old, new in pairs if old and not new]
    return Solved(
        trial=trial,
        before=sum(map(bool, before)),
        after=sum(map(bool, after)),
        gained=gained,
        lost=lost,
        p=mcnemar(len(gained), len(lost)),
    )
