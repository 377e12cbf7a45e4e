"""PassAtK: pass@k of a set of problems, its intervals, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from patchkit.evals import PassAtK, pass_at_k
from patchkit.evals.bootstrap import clopper_pearson, difference_intervals, rate_intervals
from patchkit.evals.passatk import pass_at_every_k


@st.composite
def trials(draw: st.DrawFn) -> tuple[list[list[int]], int]:
    n, problems = draw(st.integers(1, 8)), draw(st.integers(1, 12))
    counts = st.lists(st.integers(0, n), min_size=problems, max_size=problems)
    return draw(st.lists(counts, min_size=1, max_size=3)), n


@pytest.mark.parametrize("n", [1, 2, 7, 16, 400])
def test_the_table_is_the_estimator(n: int) -> None:
    table = pass_at_every_k(n)
    for c in {0, 1, n // 2, n - 1, n}:
        for k in {1, (n + 1) // 2, n}:
            assert table[c, k - 1] == pytest.approx(pass_at_k(n, c, k), abs=1e-12)


@given(trials())
@settings(deadline=None, max_examples=40)
def test_a_curve_rises_from_the_mean_to_the_share_with_any(made: tuple[list[list[int]], int]) -> None:
    correct, n = made
    curve = PassAtK(correct, n).curve()
    values = [rate.value for rate in curve]
    assert [rate.k for rate in curve] == list(range(1, n + 1))
    assert values == sorted(values)
    assert values[0] == pytest.approx(np.mean(correct) / n)
    assert values[-1] == pytest.approx(np.mean(np.array(correct) > 0))
    assert all(0 <= rate.low <= rate.value + 1e-12 and rate.value <= rate.high + 1e-12 <= 1 + 1e-9 for rate in curve)
    assert all(rate.low < rate.high for rate in curve)


def test_trials_are_averaged_not_pooled() -> None:
    assert PassAtK([[4, 0], [0, 0]], n=4).at(4).value == 0.25
    assert pass_at_k(8, 4, 4) / 2 > 0.25  # what pooling would make of it


def test_at_is_a_point_of_the_curve() -> None:
    rates = PassAtK([0, 1, 5, 8, 3, 0, 2, 8, 7, 1, 0, 0, 4], n=8)
    assert [rates.at(k) for k in range(1, 9)] == rates.curve()


def test_takes_arrays() -> None:
    assert PassAtK(np.array([1, 2]), n=np.int64(2)).at(1) == PassAtK([1, 2], n=2).at(1)  # type: ignore[arg-type]


@pytest.mark.parametrize("solved", [0, 12])
def test_none_or_all_solved_is_as_wide_as_clopper_and_pearson(solved: int) -> None:
    rate = PassAtK([8 * (solved > 0)] * 12, n=8).at(8)
    assert (rate.low, rate.high) == pytest.approx(proportion_confint(solved, 12, method="beta"))


@given(st.integers(1, 200), st.data())
def test_clopper_pearson_is_statsmodels(of: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, of))
    expected = proportion_confint(hits, of, method="beta")
    assert clopper_pearson(hits, of) == pytest.approx(expected, abs=1e-9)


def test_a_rate_that_is_the_same_everywhere_still_has_a_width() -> None:
    rate = PassAtK([1] * 20, n=8).at(1)
    assert rate.low < 0.03 and rate.high > 0.3


def test_intervals_cover_as_often_as_they_say() -> None:
    numbers, rounds, n, count = np.random.default_rng(4), 120, 8, 30
    chances = numbers.beta(0.5, 0.7, (rounds, count))
    before, after = numbers.binomial(n, chances), numbers.binomial(n, chances)
    table = pass_at_every_k(n)
    rates = table[before][:, :, [0, -1]].transpose(2, 0, 1).reshape(-1, count)
    differences = (table[after] - table[before])[:, :, [0, -1]].transpose(2, 0, 1).reshape(-1, count)
    large = np.random.default_rng(5).beta(0.5, 0.7, 400_000)
    truths = [0.5 / 1.2] * rounds + [float((1 - (1 - large) ** n).mean())] * rounds
    covered = [low <= truth <= high for truth, (low, high) in zip(truths, rate_intervals(rates), strict=True)]
    assert np.mean(covered) > 0.9
    assert np.mean([low <= 0 <= high for low, high in difference_intervals(differences)]) > 0.93


@pytest.mark.parametrize(
    ("correct", "n", "why"),
    [
        ([], 8, "at least"),
        ([[]], 8, "at least"),
        ([1], 0, "at least"),
        ([[[1]]], 8, "at least"),
        ([[1, 2], [1]], 8, "every trial"),
        ([9], 8, "from 0 to n = 8"),
        ([-1], 8, "from 0 to n = 8"),
        ([0.5], 8, "whole numbers"),
        ([True], 8, "whole numbers"),
        (["1"], 8, "whole numbers"),
    ],
)
def test_refuses_counts_that_are_none(correct: Any, n: int, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        PassAtK(correct, n)


@pytest.mark.parametrize("k", [0, 9])
def test_refuses_a_k_that_was_not_drawn(k: int) -> None:
    with pytest.raises(ValueError, match=f"pass@{k} needs"):
        PassAtK([1], n=8).at(k)


@pytest.mark.parametrize("other", [PassAtK([1, 2], n=8), PassAtK([1], n=4)])
def test_refuses_to_pair_what_is_no_pair(other: PassAtK) -> None:
    with pytest.raises(ValueError, match="same problems"):
        PassAtK([1], n=8).against(other)


def test_noise_is_the_largest_difference_between_trials() -> None:
    trials = [[0, 0, 0, 0], [8, 0, 0, 0], [8, 8, 8, 0]]
    rates = PassAtK(trials, n=8)
    assert rates.noise(8) == max(abs(sum(a) - sum(b)) / 32 for a, b in combinations(trials, 2)) == 0.75
    assert PassAtK([1, 2], n=8).noise(1) is None


def test_the_package_imports_no_numpy_until_it_is_needed() -> None:
    code = "import sys, patchkit.evals, patchkit.evals.records; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
