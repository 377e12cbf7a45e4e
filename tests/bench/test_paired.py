"""The interval of a paired ratio."""

from __future__ import annotations

import random
from math import comb

import pytest

from patchkit.evals.paired_ratio import coverage, paired_ratio


def test_nine_pairs_carry_95_percent_without_the_outermost() -> None:
    ratio = paired_ratio([1.0] * 9, [0.9, 0.1, 0.5, 0.6, 0.7, 0.8, 0.4, 0.3, 0.2])
    assert (ratio.median, ratio.low, ratio.high, ratio.pairs) == (0.5, 0.2, 0.8, 9)
    assert ratio.confidence == 1 - 2 * (1 + 9) / 512


@pytest.mark.parametrize(("pairs", "confidence"), [(1, 0.0), (2, 0.5), (3, 0.75), (6, 0.96875)])
def test_few_pairs_say_how_sure_they_are(pairs: int, confidence: float) -> None:
    ratio = paired_ratio([1.0] * pairs, [float(number + 1) for number in range(pairs)])
    assert (ratio.low, ratio.high, ratio.confidence) == (1.0, pairs, confidence)


def test_coverage_is_the_binomial_one() -> None:
    for pairs in range(2, 30):
        for trimmed in range((pairs - 1) // 2):
            middle = sum(comb(pairs, rank) for rank in range(trimmed + 1, pairs - trimmed)) / 2**pairs
            assert coverage(pairs, trimmed) == pytest.approx(middle)


def test_the_interval_covers_the_median_as_often_as_it_says() -> None:
    numbers = random.Random(1)
    hits = 0
    for _ in range(500):
        ratio = paired_ratio([1.0] * 12, [numbers.lognormvariate(0, 0.3) for _ in range(12)])
        hits += ratio.low <= 1.0 <= ratio.high
    assert hits / 500 > 0.93
