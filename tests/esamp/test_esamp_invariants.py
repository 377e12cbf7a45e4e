"""ESamp's invariants go red on a changed run, for the stated reason, and for a row that was not compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from patchkit.gates.events import BatchShape, CallResult, Pass, Result, Step
from patchkit.gates.invariants.own import own_invariants
from patchkit.gates.part_run import Run

OWN = own_invariants(Path(__file__).resolve().parents[2] / "patches" / "esamp" / "gates")
ROWS, STEPS = 4, 24
EVERY = ("rows", "credited", "predicted", "trained", "intervened", "moved", "bank", "learning")
COUNTERS = {
    "unmapped_rows": "zero",
    "skipped_rows": "zero",
    "candidate_tokens": "positive",
    "moved_tokens": "any",
    "loss_first": "any",
    "loss_last": "any",
    "loss_mean": "any",
}


def loss_at(number: int) -> float:
    """It falls by half."""
    return 1.0 - number / STEPS / 2


def observed(number: int) -> dict[str, Any]:
    """The probe's report of a faultless step: four rows of two prompts."""
    compared = dict.fromkeys(("source", "target", "credited", "predicted", "logits"), ROWS)
    return {
        "compared": compared | {"losses": 2, "state": 4, "bank": 1},
        "differences": {"predicted": 1e-6, "losses": 1e-7, "logits": 1e-7, "state": 1e-5},
        "wrong": {},
        "kinds": {"compared": ROWS, "prompts": 2, "tempered": ROWS},
        "tokens": {"candidates": 100, "moved": 99},
        "bank": {"distillers": 2, "most": 2, "bytes": 1000},
        "loss": loss_at(number),
        "identity_loss": 1.0,
        "mean_loss": loss_at(number),
    }


def counted(number: int) -> dict[str, float]:
    losses = [loss_at(before) for before in range(number + 1)]
    return {
        "unmapped_rows": 0,
        "skipped_rows": 0,
        "candidate_tokens": 100,
        "moved_tokens": 99 * (number + 1),
        "loss_first": losses[0],
        "loss_last": losses[-1],
        "loss_mean": sum(losses) / len(losses),
    }


def faultless() -> list[Step]:
    shape = BatchShape(requests=ROWS, decode_rows=ROWS, decode_rows_before=ROWS)
    return [
        Step("r", "patched", number, shape, runtime=counted(number), observed=observed(number))
        for number in range(STEPS)
    ]


def make_run(steps: list[Step], settings: dict[str, Any] | None = None, learnt: Any = None) -> Run:
    counters = {name: SimpleNamespace(must_be=must_be) for name, must_be in COUNTERS.items()}
    runtime: Any = SimpleNamespace(name="esamp", counters=counters)
    done = Pass("patched", 1.0, 100, [CallResult([])], observed={"learnt": learnt} if learnt else None)
    part: Any = SimpleNamespace(repeat=1, calls=[])
    return Run(part, runtime, [settings or {}], steps, Result("r", [done]))


def reasons(name: str, run: Run, **params: Any) -> list[str]:
    return [broken.reason for broken in OWN[name].check(run, OWN[name].read(params), {})]


def changed(change: Callable[[Step], None]) -> Run:
    steps = faultless()
    change(steps[7])
    return make_run(steps)


@pytest.mark.parametrize("name", EVERY)
def test_a_faultless_run_is_green_and_an_unseen_one_is_red(name: str) -> None:
    assert reasons(name, make_run(faultless())) == []
    assert reasons(name, make_run([])), "no steps prove nothing"
    unseen = faultless()
    unseen[5] = Step("r", "patched", 5, unseen[5].shape, runtime=counted(5))
    assert reasons(name, make_run(unseen)), "a step that the probe did not see proves nothing"


WHERE = ", at step 7 of call 0 (4 requests: 4 decode rows after 4, 0 prefill tokens)"


@pytest.mark.parametrize(
    ("name", "quantity", "said"),
    [
        ("rows", "source", "source: row 2 (prompt 1 sample 0): it differs, off by 0.02"),
        ("rows", "target", "target: row 2 (prompt 1 sample 0): it differs, off by 0.02"),
        ("credited", "credited", "credited: row 2 (prompt 1 sample 0): it differs, off by 0.02"),
        ("predicted", "predicted", "predicted: row 2 (prompt 1 sample 0): it differs, off by 0.02"),
        ("trained", "losses", "losses: row 2 (prompt 1 sample 0): it differs, off by 0.02"),
        ("trained", "state", "state: row 2 (prompt 1 sample 0): it differs, off by 0.02"),
        ("intervened", "logits", "logits: row 2 (prompt 1 sample 0): it differs, off by 0.02"),
        ("bank", "bank", "bank: row 2 (prompt 1 sample 0): it differs, off by 0.02"),
    ],
)
def test_what_differs_is_told_with_row_owner_and_size(name: str, quantity: str, said: str) -> None:
    wrong = {"what": "it differs", "difference": 0.02, "row": 2, "prompt": 1, "sample": 0}
    run = changed(lambda step: step.observed["wrong"].update({quantity: wrong}))  # type: ignore[index]
    assert reasons(name, run) == [said + WHERE]


@pytest.mark.parametrize(
    ("name", "quantity", "said"),
    [
        ("rows", "source", "source: 3 rows compared, 4 decode rows to compare"),
        ("rows", "target", "target: 3 rows compared, 4 decode rows to compare"),
        ("credited", "credited", "credited: 3 rows compared, 4 decode rows to compare"),
        ("predicted", "predicted", "predicted: 3 rows compared, 4 decode rows to compare"),
    ],
)
def test_a_row_that_was_not_compared_is_red(name: str, quantity: str, said: str) -> None:
    run = changed(lambda step: step.observed["compared"].update({quantity: 3}))  # type: ignore[index]
    assert reasons(name, run) == [said + WHERE]


@pytest.mark.parametrize(
    ("name", "group", "change", "said"),
    [
        ("trained", "compared", {"losses": 1}, "losses: 1 prompt compared, 2 prompts to compare"),
        ("trained", "compared", {"state": 0}, "state: nothing was compared"),
        ("intervened", "kinds", {"compared": 3}, "logits: 3 rows compared, 4 decode rows to compare"),
        ("intervened", "kinds", {"left": 1}, "0 rows skipped, 1 have no finite prediction"),
        ("moved", "tokens", {"candidates": 101}, "candidate tokens 100, the worker counted 101"),
        ("moved", "tokens", {"moved": 98}, "moved tokens 99, the worker counted 98"),
    ],
)
def test_what_was_seen_otherwise_is_red(name: str, group: str, change: dict[str, int], said: str) -> None:
    run = changed(lambda step: step.observed[group].update(change))  # type: ignore[index]
    assert reasons(name, run) == [said + WHERE]


@pytest.mark.parametrize("counter", ["loss_first", "loss_last", "loss_mean"])
def test_a_counter_of_the_loss_that_is_not_the_reference_s_is_red(counter: str) -> None:
    run = changed(lambda step: step.runtime.update({counter: 0.3}))  # type: ignore[union-attr]
    (said,) = reasons("trained", run)
    assert said.startswith(f"{counter.replace('_', ' ')} 0.3, the reference's is ")


def test_rows_without_an_owner_are_told_before_anything_else() -> None:
    run = changed(lambda step: step.runtime.update(unmapped_rows=2))  # type: ignore[union-attr]
    assert reasons("credited", run) == ["2 decode rows belong to no request" + WHERE]


def test_kinds_of_rows_that_were_not_reached_are_red() -> None:
    assert reasons("intervened", make_run(faultless()), compared=97, resumed=1) == [
        "96 compared rows compared, this scenario needs at least 97",
        "0 resumed rows compared, this scenario needs at least 1",
    ]
    assert reasons("bank", make_run(faultless()), prompts=3) == [
        "2 distillers held at once, this scenario needs at least 3"
    ]


def test_with_beta_0_no_token_may_move() -> None:
    (said,) = reasons("moved", make_run(faultless(), {"beta": 0.0}))
    assert said == "2376 tokens moved over 24 decode steps with beta 0, none may be"


def test_learning_wants_the_loss_to_fall_against_identity() -> None:
    flat = faultless()
    for step in flat:
        step.observed.update(loss=0.5, mean_loss=0.5)  # type: ignore[union-attr]
    (said,) = reasons("learning", make_run(flat))
    assert said == "loss 0.5 at every one of 24 decode steps: nothing is learnt"
    for number, step in enumerate(flat):
        step.observed["loss"] = 0.5 + number / 1000  # type: ignore[index]
    assert "it must fall by 10%" in reasons("learning", make_run(flat))[0]
    unknown = changed(lambda step: step.observed.update(loss=None))  # type: ignore[union-attr]
    assert reasons("learning", unknown) == ["loss None: nothing to judge learning by" + WHERE]


def bins(
    error: float, won: float, untrained_won: float = 700.0, mean_error: float = 60.0
) -> dict[str, list[list[float]]]:
    """Three prompts of eight bins, each with 1,000 pairs, of which an untrained copy matches 700."""
    one = [16, 256, error, 100.0, mean_error, won, untrained_won, 1000]
    return {str(prompt): [one] * 8 for prompt in range(3)}


def test_learnt_wants_a_loss_and_matched_pairs_far_from_an_untrained_copy_s() -> None:
    def said(**given: float) -> list[str]:
        return reasons("learnt", make_run(faultless(), learnt=bins(**given)), prompts=3)

    assert said(error=50.0, won=900.0) == []
    (line,) = said(error=80.0, won=900.0, mean_error=90.0)
    assert line == "loss 0.800 of an untrained copy's after 80 steps, at most 0.75 allowed"
    (line,) = said(error=50.0, won=900.0, mean_error=50.5)
    assert line.startswith("predictions explain 0.010 of the targets' variance against their running mean after 80")
    assert said(error=50.0, won=730.0) == [
        "predictions match 0.10 of the pairs of rows that an untrained copy's do not (median of 3 prompts), "
        "at least 0.35 needed"
    ]
    # A copy that does worse than chance is no lower bar than chance.
    assert "match 0.00 of" in said(error=50.0, won=500.0, untrained_won=100.0)[0]
    assert reasons("learnt", make_run(faultless()), prompts=3)[0].startswith("0 prompts with 500 pairs of rows after")
