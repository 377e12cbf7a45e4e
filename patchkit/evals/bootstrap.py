"""95% intervals of means over problems. The problem is the unit: its samples, and its trials, are not independent."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RESAMPLES, SEED = 9_999, 20_210_707
FEW = 10  # so few problems that differ from the rest make a bootstrap distribution of a handful of values
NO_CHANGE = 1e-12  # what is left of a difference of equal rates

Floats = NDArray[np.float64]


def bootstrap(rows: Floats) -> tuple[Floats, Floats]:
    """The mean of each row, resampled by column: BCa (Efron 1987), or percentiles where that is not defined."""
    if rows.shape[1] == 1:
        return rows[:, 0], rows[:, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a constant row is degenerate; the callers widen it
        found = stats.bootstrap(
            (rows,),
            np.mean,
            axis=1,
            n_resamples=RESAMPLES,
            batch=1_000,
            method="BCa",
            random_state=np.random.default_rng(SEED),
        )
    low, high = np.percentile(found.bootstrap_distribution, (2.5, 97.5), axis=1)
    interval = found.confidence_interval
    defined = np.isfinite(interval.low) & np.isfinite(interval.high)
    return np.where(defined, interval.low, low), np.where(defined, interval.high, high)


def clopper_pearson(hits: float, of: float, tail: float = 0.025) -> tuple[float, float]:
    """The exact interval of a share, ``tail`` left out on each side; ``hits`` may be a sum of rates."""
    low = float(stats.beta.ppf(tail, hits, of - hits + 1)) if hits > NO_CHANGE else 0.0
    high = float(stats.beta.ppf(1 - tail, hits + 1, of - hits)) if of - hits > NO_CHANGE else 1.0
    return low, high


def rate_intervals(rates: Floats) -> list[tuple[float, float]]:
    """Of the mean of each row of problems' rates.

    Where fewer than ``FEW`` problems differ from the commonest rate, the bootstrap sees too little of what other
    problems would do: there the interval reaches at least as far as Clopper and Pearson's, for as many solved problems
    as the rates add up to.
    """
    intervals = []
    for row, low, high in zip(rates, *bootstrap(rates), strict=True):
        if row.size - np.unique(row.round(9), return_counts=True)[1].max() < FEW:
            exact = clopper_pearson(row.sum(), row.size)
            low, high = min(low, exact[0]), max(high, exact[1])
        intervals.append((max(float(low), 0.0), min(float(high), 1.0)))
    return intervals


def difference_intervals(differences: Floats) -> list[tuple[float, float]]:
    """Of the mean of each row of problems' differences: the bootstrap's, and at least as wide as :func:`adjusted`."""
    intervals = []
    for row, low, high in zip(differences, *bootstrap(differences), strict=True):
        least = adjusted(row)
        intervals.append((max(min(float(low), least[0]), -1.0), min(max(float(high), least[1]), 1.0)))
    return intervals


def adjusted(differences: Floats) -> tuple[float, float]:
    """The normal interval with half a problem more that gained, and half a problem more that lost.

    For whole problems gained and lost it is Agresti and Min's (2005). The half problems move as far as the one that
    moved most; by a whole problem where fewer than six moved, since so few do not show how far problems move. Where
    none moved, it is the largest share of movers that still leaves none in 2.5% of cases, in either direction.
    """
    count, moved = differences.size, np.abs(differences) > NO_CHANGE
    if not moved.any():
        reach = clopper_pearson(0, count)[1]
        return -reach, reach
    step = float(np.abs(differences).max()) if moved.sum() >= 6 else 1.0
    total, squares = float(differences.sum()), float((differences**2).sum()) + step**2
    center, error = total / (count + 2), (squares - total**2 / (count + 2)) ** 0.5 / (count + 2)
    reach = float(stats.norm.ppf(0.975)) * error
    return center - reach, center + reach
