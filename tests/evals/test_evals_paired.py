"""Paired by problem: exact McNemar, sign flips, intervals, direction."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as reference

from patchkit.evals import PassAtK
from patchkit.evals.bootstrap import adjusted, difference_intervals
from patchkit.evals.paired import direction, mcnemar, sign_flip, solved
from patchkit.evals.records import Change


@given(st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=50)
def test_mcnemar_is_statsmodels(gained: int, lost: int) -> None:
    expected = reference([[5, gained], [lost, 5]], exact=True).pvalue if gained + lost else 1.0
    assert mcnemar(gained, lost) == pytest.approx(expected)


def test_mcnemar_refuses_less_than_none() -> None:
    with pytest.raises(ValueError, match="less than none"):
        mcnemar(-1, 3)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=25))
@settings(deadline=None, max_examples=40)
def test_of_one_trial_at_k_equal_n_the_flips_are_mcnemar(counts: list[tuple[int, int]]) -> None:
    before, after = ([one[mode] for one in counts] for mode in (0, 1))
    moved = solved([str(number) for number in range(len(counts))], 0, before, after)
    change = PassAtK(after, 2).against(PassAtK(before, 2))[-1]
    few = len(moved.gained) + len(moved.lost) <= 18
    assert change.p == pytest.approx(moved.p, abs=1e-12 if few else 0.02)


@pytest.mark.parametrize("count", [2, 7, 12])
def test_exact_flips_are_scipys(count: int) -> None:
    differences = np.random.default_rng(count).integers(-8, 12, count) / 8
    expected = stats.permutation_test((differences,), np.sum, permutation_type="samples", n_resamples=2**count)
    assert sign_flip(differences[None])[0] == pytest.approx(expected.pvalue, abs=1e-12)


def test_random_flips_are_scipys_nearly_and_never_nought() -> None:
    differences = np.random.default_rng(0).normal(0.25, 1, (1, 60))
    expected = stats.permutation_test(tuple(differences), np.mean, permutation_type="samples", random_state=1).pvalue
    assert sign_flip(differences)[0] == pytest.approx(expected, abs=0.01)
    assert sign_flip(np.ones((1, 60))) == [1 / 20_000]


def test_flips_of_pure_noise_are_below_alpha_as_often_as_alpha() -> None:
    numbers = np.random.default_rng(2)
    p = np.array(sign_flip(numbers.normal(0, 1, (600, 12))))
    assert 0.03 < np.mean(p < 0.05) < 0.07


def test_who_moved() -> None:
    one = solved(["a", "b", "c", "d"], 2, before=[0, 3, 0, 1], after=[1, 0, 0, 8])
    assert (one.trial, one.before, one.after, one.gained, one.lost, one.p) == (2, 2, 2, ["a"], ["b"], 1.0)


def test_three_gained_and_one_lost_of_thirty_is_no_news() -> None:
    before = [8] * 17 + [4] + [0] * 12
    after = [8] * 17 + [0] + [1] * 3 + [0] * 9
    change = PassAtK(after, 8).against(PassAtK(before, 8))[-1]
    assert (change.before, change.after) == (0.6, pytest.approx(2 / 3))
    assert change.p == 0.625
    assert change.low == pytest.approx(-0.07, abs=0.01) and change.high == pytest.approx(0.20, abs=0.01)
    assert change.direction == 0


def test_whole_problems_are_agresti_and_mins() -> None:
    differences = np.array([1.0] * 9 + [-1.0] * 2 + [0.0] * 29)
    up, down, count = 9.5, 2.5, 42
    error = ((up + down) - (up - down) ** 2 / count) ** 0.5 / count
    center = (up - down) / count
    assert adjusted(differences) == pytest.approx((center - 1.959964 * error, center + 1.959964 * error), abs=1e-6)


def test_few_movers_do_not_tell_how_far_problems_move() -> None:
    few, many = (adjusted(np.array([0.125] * moved + [0.0] * (40 - moved))) for moved in (5, 6))
    assert few[1] - few[0] > 0.09
    assert many[1] - many[0] < 0.04


@pytest.mark.parametrize("count", [1, 5, 40])
def test_where_none_moved_some_might_have(count: int) -> None:
    ((low, high),) = difference_intervals(np.zeros((1, count)))
    assert high == pytest.approx(1 - 0.025 ** (1 / count)) == -low


@given(st.lists(st.sampled_from([-1.0, -0.25, 0.0, 0.0, 0.0, 0.5, 1.0]), min_size=2, max_size=60))
@settings(deadline=None, max_examples=60)
def test_an_interval_has_a_width_holds_the_mean_and_mirrors(differences: list[float]) -> None:
    row = np.array([differences])
    ((low, high),) = difference_intervals(row)
    assert -1 <= low < high <= 1
    assert low <= row.mean() <= high
    ((mirrored_low, mirrored_high),) = difference_intervals(-row)
    assert (mirrored_low, mirrored_high) == pytest.approx((-high, -low), abs=0.02)


@pytest.mark.parametrize("moved", [1, 2, 3])
def test_few_that_moved_are_never_resolved(moved: int) -> None:
    before = [0] * 40
    change = PassAtK([8] * moved + [0] * (40 - moved), 8).against(PassAtK(before, 8))[-1]
    assert change.low < 0 < change.high
    assert change.direction == 0


RESOLVED = Change(k=8, before=0.2, after=0.4, difference=0.2, low=0.1, high=0.3, p=0.01, noise=0.05)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, 1),
        ({"noise": None}, 1),
        ({"low": -0.1}, 0),
        ({"p": 0.05}, 0),
        ({"noise": 0.2}, 0),
        ({"difference": -0.2, "low": -0.3, "high": -0.1}, -1),
        ({"difference": -0.2, "low": -0.3, "high": 0.0}, 0),
        ({"difference": -0.2, "low": -0.3, "high": -0.1, "noise": 0.25}, 0),
    ],
)
def test_a_direction_needs_all_three(changed: dict[str, float | None], expected: int) -> None:
    assert direction(msgspec.structs.replace(RESOLVED, **changed)) == expected
