"""What a design resolves, and what a difference needs."""

from __future__ import annotations

import numpy as np
import pytest

from patchkit.evals import PassAtK
from patchkit.evals.paired import sign_flip
from patchkit.evals.passatk import pass_at_every_k
from patchkit.evals.power import FACTOR, needed


def test_the_factor() -> None:
    assert pytest.approx(2.80, abs=0.005) == FACTOR


def test_by_hand() -> None:
    base, mode = PassAtK([0] * 20 + [4] * 20, 4), PassAtK([4] * 10 + [0] * 10 + [4] * 18 + [0] * 2, 4)
    spread = float(np.std([1] * 10 + [-1] * 2 + [0] * 28, ddof=1))
    found = needed(mode, base, 4)
    assert found.resolvable == pytest.approx(2.8016 * spread / 40**0.5, rel=1e-4)
    assert found.problems == int(np.ceil((2.8016 * spread / 0.2) ** 2))
    assert found.samples is None


def test_nothing_moved_resolves_six_problems_at_best() -> None:
    found = needed(PassAtK([8] * 40, 8), PassAtK([8] * 40, 8), 8)
    assert found.resolvable == pytest.approx(6 / 40)
    assert (found.problems, found.samples) == (None, None)


def test_all_moved_alike_needs_six() -> None:
    found = needed(PassAtK([3] * 40, 4), PassAtK([2] * 40, 4), 1)
    assert found.problems == 6
    assert found.resolvable == pytest.approx(6 * 0.25 / 40)


def test_never_more_than_everything() -> None:
    assert needed(PassAtK([1], 1), PassAtK([0], 1), 1).resolvable == 1


def test_samples_only_help_against_the_chance_of_drawing() -> None:
    fickle = needed(PassAtK([5, 4, 6, 3] * 10, 8), PassAtK([4, 4, 4, 4] * 10, 8), 1)
    assert fickle.samples is not None and fickle.samples > 8
    certain = needed(PassAtK([8] * 11 + [0] * 9, 8), PassAtK([0] * 11 + [8] * 9, 8), 1)
    assert certain.samples is None
    assert needed(PassAtK([1, 0, 1], 1), PassAtK([0, 0, 1], 1), 1).samples is None


def test_as_many_problems_as_it_says_are_resolved_four_times_in_five() -> None:
    numbers, n = np.random.default_rng(3), 8
    chances = numbers.beta(0.5, 0.7, 4_000)
    better = chances + 0.5 * chances * (1 - chances)
    base, mode = PassAtK(numbers.binomial(n, chances).tolist(), n), PassAtK(numbers.binomial(n, better).tolist(), n)
    problems = needed(mode, base, 1).problems
    assert problems is not None
    drawn = numbers.integers(0, 4_000, (300, problems))
    table = pass_at_every_k(n)[:, 0]
    differences = table[numbers.binomial(n, better[drawn])] - table[numbers.binomial(n, chances[drawn])]
    assert 0.7 < np.mean(np.array(sign_flip(differences)) < 0.05) < 0.9


def test_samples_by_hand_over_two_trials() -> None:
    base = [[4, 2, 6, 0, 3, 5], [3, 3, 5, 1, 2, 6]]
    mode = [[5, 4, 6, 2, 3, 7], [5, 3, 7, 1, 4, 6]]
    found = needed(PassAtK(mode, 8), PassAtK(base, 8), 1)
    d = (np.mean(mode, axis=0) - np.mean(base, axis=0)) / 8
    drawn = sum(np.mean([c * (8 - c) / (8 * 7) for c in np.ravel(counts)]) / 2 for counts in (base, mode))
    between = max(d.var(ddof=1) - drawn / 8, 0)
    assert found.samples == int(np.ceil(drawn / (6 * (d.mean() / FACTOR) ** 2 - between)))
