"""What a design can see: the smallest difference it resolves, and what a difference would need."""

from __future__ import annotations

from math import ceil

import numpy as np
from scipy import stats

from patchkit.evals.bootstrap import NO_CHANGE, clopper_pearson
from patchkit.evals.passatk import PassAtK
from patchkit.evals.records import Needed

FACTOR = float(stats.norm.ppf(0.975) + stats.norm.ppf(0.8))  # 2.80: two-sided 5% error, 80% power
FEWEST = 6  # moved problems, all the same way, that a sign test calls: 2 / 2**6 = 0.031


def needed(mode: PassAtK, baseline: PassAtK, k: int) -> Needed:
    """For pass@k. How many samples would do is asked of pass@1 alone: a larger n changes what pass@n means."""
    differences = mode.differences(baseline)[k - 1]
    count, difference, moved = differences.size, abs(float(differences.mean())), np.abs(differences[differences != 0])
    if moved.size:
        spread = float(differences.std(ddof=1)) if count > 1 else 1.0
    else:  # as many may move as would, in 2.5% of cases, have left none moved here
        spread = clopper_pearson(0, count)[1] ** 0.5
    step = float(moved.mean()) if moved.size >= FEWEST else 1.0  # fewer do not show how far problems move
    resolvable = min(max(FACTOR * spread / count**0.5, FEWEST * step / count), 1.0)
    if difference < NO_CHANGE:
        return Needed(k=k, resolvable=resolvable)
    problems = max(FEWEST, ceil((FACTOR * spread / difference) ** 2))
    samples = _samples(mode, baseline, spread, difference) if k == 1 else None
    return Needed(k=k, resolvable=resolvable, problems=problems, samples=samples)


def _samples(mode: PassAtK, baseline: PassAtK, spread: float, difference: float) -> int | None:
    """Samples a problem at which pass@1's error is small enough; None where problems themselves differ by too much."""
    n = mode.n
    if n == 1:
        return None  # one sample does not separate variance within problems from variance between them
    drawn = _drawn(mode) + _drawn(baseline)
    between = max(spread**2 - drawn / n, 0.0)
    left = mode.problems * (difference / FACTOR) ** 2 - between
    return max(1, ceil(drawn / left)) if left > 0 else None


def _drawn(rates: PassAtK) -> float:
    """n times the variance that drawing samples adds to a problem's pass@1: p(1 - p), unbiased, over the trials."""
    n, correct = rates.n, rates.correct
    return float((correct * (n - correct)).mean()) / (n * (n - 1)) / len(correct)
