"""Semantic spread: the share of distinct values, also at a common size."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchkit.evals.spread import distinct_share

VALUES = st.lists(st.sampled_from(["a", "b", "c", None]), max_size=8)


@pytest.mark.parametrize(
    ("values", "share"),
    [([], None), ([None, None], None), (["a"], 1.0), (["a", "a", "b", None], 2 / 3), (["a"] * 16, 1 / 16)],
)
def test_the_share_of_distinct_values(values: list[str | None], share: float | None) -> None:
    assert distinct_share(values) == share


@given(VALUES, st.integers(1, 8))
def test_a_common_size_is_the_mean_over_all_draws(values: list[str | None], of: int) -> None:
    given_values = [value for value in values if value is not None]
    draws = list(combinations(given_values, of))
    expected = sum(len(set(draw)) / of for draw in draws) / len(draws) if draws else None
    assert distinct_share(values, of) == (None if expected is None else pytest.approx(expected))


@given(VALUES)
def test_the_whole_size_is_the_plain_share(values: list[str | None]) -> None:
    count = sum(value is not None for value in values)
    if count:
        assert distinct_share(values, count) == pytest.approx(distinct_share(values))


def test_a_share_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="a share of 0"):
        distinct_share(["a"], 0)
