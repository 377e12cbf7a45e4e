"""Run inside an environment: the measures of learning see what has been learnt, and nothing else.

Usage: ``python learning_measures.py``; says nothing and exits with 0 if that is so.
"""

from types import SimpleNamespace

import torch
from gates_package import load

learning = load("learning")
sample_probe = load("sample_probe")
ROWS, HIDDEN, STEPS = 16, 24, 80


def rows(step: int, likeness: float):
    """Source and target rows of a step; untaught, the source is like the target, unlike it, or neither."""
    torch.manual_seed(step)
    source = torch.randn(ROWS, HIDDEN)
    turn = torch.linalg.qr(torch.randn(HIDDEN, HIDDEN, generator=torch.Generator().manual_seed(77))).Q
    turn = 0.7 * turn + likeness * torch.eye(HIDDEN)
    return source, 1.0 + source @ turn + 0.5 * torch.randn(ROWS, HIDDEN), turn


def gain(predict, likeness: float) -> float:
    """What a prediction gains over an untrained copy, which is the source with a little noise."""
    progress = learning.Progress()
    noise = torch.Generator().manual_seed(5)
    for step in range(STEPS):
        source, target, turn = rows(step, likeness)
        untrained = source + 0.2 * torch.randn(ROWS, HIDDEN, generator=noise)
        progress.take(predict(source, target, turn, untrained), untrained, target)
    bins = progress.bins[1:]
    won, untrained_won, pairs = (sum(getattr(one, of) for one in bins) for of in ("won", "untrained_won", "pairs"))
    untrained_share = max(untrained_won / pairs, 0.5)
    return (won / pairs - untrained_share) / (1 - untrained_share)  # as ``learnt`` does in invariants.py


def the_gain_is_of_what_was_learnt() -> None:
    useless = {
        "the untrained copy": lambda source, target, turn, untrained: untrained,
        "a constant": lambda source, target, turn, untrained: torch.ones_like(target) * 1.3,
        "the mean": lambda source, target, turn, untrained: target.mean(0).expand_as(target),
        "a scale": lambda source, target, turn, untrained: untrained * 0.3,
        "a large scale": lambda source, target, turn, untrained: untrained * 3,
        "a shift": lambda source, target, turn, untrained: untrained + 1.0,
        "a scale and a shift": lambda source, target, turn, untrained: untrained * 0.5 + 0.7,
        "the identity": lambda source, target, turn, untrained: source,
    }
    for likeness in (-0.2, 0.0, 0.2):
        for name, predict in useless.items():
            assert gain(predict, likeness) < 0.03, (likeness, name, gain(predict, likeness))
        assert gain(lambda source, target, turn, untrained: target, likeness) == 1
        assert gain(lambda source, target, turn, untrained: source @ turn, likeness) > 0.99
    a_little = gain(lambda source, target, turn, untrained: source + 0.5 * source @ turn, 0.0)
    assert 0.05 < a_little < 0.9, a_little


def pairs_by_hand() -> None:
    target = torch.tensor([[0.0, 0.0], [2.0, 0.0], [2.0, 0.0], [0.0, 4.0]])
    predicted = torch.tensor([[0.5, 9.0], [0.9, 0.0], [0.3, 0.0], [0.5, 9.0]])
    even = torch.ones(2, dtype=torch.float64)
    won, pairs = learning.matched_pairs(predicted, target, even)
    # Rows 1 and 2 have the same target and are no pair. 0 and 1 match, 0 and 2 do not, 0 and 3 are predicted alike; row
    # 3's second number is far above that of 1 and 2, and so is its target's.
    assert pairs == 5 and won == 1 + 0 + 0.5 + 1 + 1
    # What a number counts for depends on how much it varies: with the second out, 3 against 2 is wrong.
    won, _ = learning.matched_pairs(predicted, target, torch.tensor([1.0, 1e9], dtype=torch.float64))
    assert won == 1 + 0 + 0.5 + 1 + 0


def the_running_mean_is_the_mean() -> None:
    running, everything = learning.Running(), []
    for size in (3, 1, 7):
        some = torch.randn(size, HIDDEN) * 3 + 100
        if everything:
            mean = torch.cat(everything).double().mean(0)
            assert abs(running.error(some) - (some.double() - mean).square().mean().item()) < 1e-9
        running.add(some)
        everything.append(some)
    together = torch.cat(everything).double()
    torch.testing.assert_close(running.deviation(), together.std(0, correction=0))
    running.add(torch.full((2, HIDDEN), float("nan")))
    assert running.count == 11 and learning.Running().error(some) is None


def the_curve_tells_when_it_was_learnt() -> None:
    curve = learning.Curve(rows_a_bin=10)
    for trained_on in range(0, 400, 5):
        curve.add(trained_on, 5, error=1.0 if trained_on >= 130 or trained_on == 45 else 3.0, mean_error=2.0)
    assert curve.rows_to_learn() == 130
    curve.add(400, 5, error=3.0, mean_error=2.0)
    assert curve.rows_to_learn() is None
    assert learning.Curve().rows_to_learn() is None
    long = learning.Curve(rows_a_bin=10)
    for trained_on in range(0, 100_000, 50):
        long.add(trained_on, 1, error=1.0 if trained_on >= 50_000 else 3.0, mean_error=2.0)
    assert 48_000 <= long.rows_to_learn() <= 52_000, long.rows_to_learn()
    assert learning.explained(1.0, 4.0) == 0.75 and learning.explained(1.0, 0.0) is None


def a_draw_tells_when_it_was_learnt() -> None:
    """Two prompts of 4 rows; from the 400th row a prompt on, predictions are near their targets."""

    def draw(steps: int, error: float) -> dict:
        runtime, view = SimpleNamespace(), None
        runtime.view = lambda: view
        look = sample_probe.SampleProbe(runtime, {}, None)
        generator = torch.Generator().manual_seed(1)
        step = SimpleNamespace(rows=[SimpleNamespace(decode=True)] * 8)
        for number in range(steps):
            target = torch.randn(8, HIDDEN, generator=generator)
            off = error if number >= 100 else 2.0
            predicted = target + off * torch.randn(8, HIDDEN, generator=generator)
            view = SimpleNamespace(
                count=8, owners=[(row // 4, row % 4) for row in range(8)], target=target, predicted=predicted
            )
            look.sampled(None, step)
        return look.figures()

    seen = draw(400, 0.5)
    assert 0.7 < seen["explained_variance"] < 0.8 and 384 <= seen["tokens_to_learn"] <= 448, seen
    assert 0.2 < seen["loss"] < 0.3 and 0.9 < seen["running_mean_loss"] < 1.1, seen
    seen = draw(400, 2.0)
    assert seen["explained_variance"] < -2 and seen["tokens_to_learn"] is None, seen
    assert draw(7, 0.5) == dict.fromkeys(seen), "too short to be looked at"


the_gain_is_of_what_was_learnt()
pairs_by_hand()
the_running_mean_is_the_mean()
the_curve_tells_when_it_was_learnt()
a_draw_tells_when_it_was_learnt()
