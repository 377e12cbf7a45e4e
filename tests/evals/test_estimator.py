"""The estimator against every subset there is, and against exact binomials."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchkit.evals import pass_at_k


@st.composite
def counts(draw: st.DrawFn, most: int = 400) -> tuple[int, int, int]:
    n = draw(st.integers(1, most))
    return n, draw(st.integers(0, n)), draw(st.integers(1, n))


@pytest.mark.parametrize("n", range(1, 9))
def test_equals_the_share_of_subsets_with_a_right_sample(n: int) -> None:
    for c in range(n + 1):
        for k in range(1, n + 1):
            subsets = list(combinations([True] * c + [False] * (n - c), k))
            assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets), abs=1e-14)


@given(counts())
def test_equals_exact_binomials(case: tuple[int, int, int]) -> None:
    n, c, k = case
    assert pass_at_k(n, c, k) == pytest.approx(float(1 - Fraction(comb(n - c, k), comb(n, k))), abs=1e-12)


@given(counts())
def test_is_a_probability_that_grows_with_k_and_with_c(case: tuple[int, int, int]) -> None:
    n, c, k = case
    chance = pass_at_k(n, c, k)
    assert 0 <= chance <= 1
    assert k == n or chance <= pass_at_k(n, c, k + 1) + 1e-12
    assert c == n or chance <= pass_at_k(n, c + 1, k) + 1e-12


def test_the_ends() -> None:
    assert pass_at_k(10, 0, 10) == 0
    assert pass_at_k(10, 1, 10) == 1
    assert pass_at_k(10, 4, 1) == pytest.approx(0.4)


def test_does_not_overflow_where_binomials_would() -> None:
    assert pass_at_k(100_000, 1, 50_000) == pytest.approx(0.5)
    assert pass_at_k(100_000, 10, 1_000) == pytest.approx(1 - 0.99**10, rel=1e-3)


@pytest.mark.parametrize(("n", "c", "k"), [(8, 9, 1), (8, -1, 1), (-1, 0, 1)])
def test_refuses_impossible_counts(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match="cannot be right"):
        pass_at_k(n, c, k)


@pytest.mark.parametrize(("n", "k"), [(8, 9), (8, 0), (0, 1)])
def test_refuses_a_k_without_enough_samples(n: int, k: int) -> None:
    with pytest.raises(ValueError, match=f"pass@{k} needs .* there are {n}"):
        pass_at_k(n, 0, k)
