"""Pass@k of a set of problems, for every k, with intervals; and against a baseline on the same problems."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import msgspec
import numpy as np
from numpy.typing import NDArray

from patchkit.evals.bootstrap import NO_CHANGE, Floats, difference_intervals, rate_intervals
from patchkit.evals.paired import direction, sign_flip
from patchkit.evals.records import Change, Rate


class PassAtK:
    """How often problems are solved within k of n samples.

    >>> base, patched = PassAtK([0, 3, 8, 1], n=8), PassAtK([1, 4, 8, 0], n=8)
    >>> patched.at(8).value, patched.against(base)[7].p
    (0.75, 1.0)

    Trials are never pooled: the samples of one trial may depend on each other, so each is estimated by itself, and the
    estimates are averaged. Where they do depend on each other, pass@k for k < n is that of k random ones of such n.

    Args:
        correct: how many of a problem's n samples were right; a list for each trial, or one list alone.
        n: samples of each problem in a trial.

    Attributes:
        by_trial: pass@k of each problem in each trial: trials, then k, then problems.
        rates: its mean over trials: k, then problems.

    Raises:
        ValueError: no problem, counts that are not whole numbers from 0 to n, or trials of different length.
    """

    def __init__(self, correct: Sequence[int] | Sequence[Sequence[int]], n: int) -> None:
        self.n, self.correct = n, _counts(correct, n)
        self.by_trial: Floats = np.moveaxis(pass_at_every_k(n)[self.correct], 2, 1)
        self.rates: Floats = self.by_trial.mean(axis=0)

    @property
    def problems(self) -> int:
        """How many there are."""
        return int(self.correct.shape[1])

    def at(self, k: int) -> Rate:
        """pass@k with its 95% interval."""
        if not 1 <= k <= self.n:
            raise ValueError(f"pass@{k} needs k of 1 or more, and at least k samples: there are {self.n}")
        return self._rates(range(k, k + 1))[0]

    def curve(self) -> list[Rate]:
        """:meth:`at` for every k from 1 to n."""
        return self._rates(range(1, self.n + 1))

    def _rates(self, every: range) -> list[Rate]:
        rows = self.rates[every.start - 1 : every.stop - 1]
        found = zip(every, rows, rate_intervals(rows), strict=True)
        return [Rate(k, float(row.mean()), low, high) for k, row, (low, high) in found]

    def differences(self, baseline: PassAtK) -> Floats:
        """Each problem's pass@k less its pass@k in the baseline: k, then problems."""
        if (self.n, self.problems) != (baseline.n, baseline.problems):
            what = f"{self.problems} problems x {self.n} samples against {baseline.problems} x {baseline.n}"
            raise ValueError(f"only the same problems with as many samples can be paired: {what}")
        differences = self.rates - baseline.rates
        return np.where(np.abs(differences) > NO_CHANGE, differences, 0.0)

    def against(self, baseline: PassAtK) -> list[Change]:
        """What changed at every k from 1 to n, paired by problem, and in which direction if that is resolved."""
        rows = self.differences(baseline)
        found = zip(self.rates, baseline.rates, rows, difference_intervals(rows), sign_flip(rows), strict=True)
        changes = [
            Change(
                k=k,
                before=float(before.mean()),
                after=float(after.mean()),
                difference=float(row.mean()),
                low=low,
                high=high,
                p=p,
                noise=baseline.noise(k),
            )
            for k, (after, before, row, (low, high), p) in enumerate(found, 1)
        ]
        return [msgspec.structs.replace(change, direction=direction(change)) for change in changes]

    def noise(self, k: int) -> float | None:
        """The largest difference in pass@k between two of these trials; None if there is but one."""
        means = self.by_trial[:, k - 1].mean(axis=1)
        return max((abs(float(one - other)) for one, other in combinations(means, 2)), default=None)


def pass_at_every_k(n: int) -> Floats:
    """:func:`~patchkit.evals.pass_at_k` as a table: a row for every c from 0 to n, a column for every k from 1 to n."""
    wrong, drawn = n - np.arange(n + 1)[:, None], np.arange(n)
    return 1.0 - np.cumprod(np.maximum(wrong - drawn, 0) / (n - drawn), axis=1)


def _counts(correct: Sequence[int] | Sequence[Sequence[int]], n: int) -> NDArray[np.int64]:
    try:
        counts = np.atleast_2d(np.asarray(correct))
    except ValueError:
        raise ValueError("every trial needs a count for every problem") from None
    if counts.ndim != 2 or counts.size == 0 or n < 1:
        raise ValueError(f"needs a problem, a trial and a sample at least: {counts.shape} counts, n = {n}")
    if not np.issubdtype(counts.dtype, np.integer) or counts.min() < 0 or counts.max() > n:
        raise ValueError(f"counts of right samples are whole numbers from 0 to n = {n}")
    return counts.astype(np.int64)
