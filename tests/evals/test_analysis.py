"""Judgements of cells that are made to have each outcome, and of cells where nothing is."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from made_cells import made_cell
from statsmodels.stats.proportion import proportion_confint

from patchkit.evals.analysis import curves, expected_false, judge
from patchkit.evals.outcome import at_ceiling, at_floor, bounds, classify
from patchkit.evals.recommendation import VERIFIER
from patchkit.evals.records import Cell, Judgement, RequiredFigure, Throughput

HARD, EASY = [0] * 30 + [4] * 20, [8] * 50
OUTCOMES = {
    "saturated": (made_cell([EASY], [EASY], 8), "skip it"),
    "token and trajectory headroom": (made_cell([HARD], [[2] * 15 + [0] * 15 + [6] * 20], 8), "use it"),
    "trajectory headroom only": (made_cell([HARD], [[1] * 12 + [0] * 18 + [5, 2] * 10], 8), "consider it"),
    "harmful": (made_cell([HARD], [[0] * 30 + [0] * 12 + [4] * 8], 8), "skip it"),
    "not resolved": (made_cell([HARD], [[1] * 3 + [0] * 27 + [0] + [4] * 19], 8), "consider it"),
}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_cell_made_to_have_a_outcome_has_it(outcome: str) -> None:
    cell, advice = OUTCOMES[outcome]
    found = judge(cell, "esamp")
    assert (found.mode, found.outcome, found.advice) == ("esamp", outcome, advice)
    assert [change.k for change in found.changes] == list(range(1, 9))
    assert [needed.k for needed in found.needed] == [1, 8]
    assert "pass@1" in found.why and "pass@8" in found.why and "noise" in found.why
    assert found.because


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_is_the_same_whenever_it_is_worked_out_and_can_be_written_down(outcome: str) -> None:
    cell, _ = OUTCOMES[outcome]
    once = judge(cell, "esamp")
    assert judge(msgspec.json.decode(msgspec.json.encode(cell), type=Cell), "esamp") == once
    assert msgspec.json.decode(msgspec.json.encode(once), type=Judgement) == once


def test_curves_of_every_mode() -> None:
    cell, _ = OUTCOMES["harmful"]
    found = curves(cell)
    assert list(found) == ["baseline", "esamp"]
    assert [rate.k for rate in found["esamp"]] == list(range(1, 9))
    assert found["baseline"][-1].value == 0.4
    assert msgspec.json.encode(found)


@pytest.mark.parametrize(
    ("first", "last", "n", "ceiling", "outcome"),
    [
        (0, 0, 8, True, "saturated"),
        (0, 0, 8, False, "not resolved"),
        (0, 1, 8, True, "trajectory headroom only"),
        (-1, 1, 8, False, "trajectory headroom only"),
        (1, 1, 8, True, "token and trajectory headroom"),
        (1, 0, 8, True, "saturated"),
        (1, 0, 8, False, "not resolved"),
        (-1, 0, 8, True, "harmful"),
        (0, -1, 8, True, "harmful"),
        (1, -1, 8, False, "harmful"),
        (-1, -1, 8, False, "harmful"),
        (1, 1, 1, False, "not resolved"),
        (-1, -1, 1, False, "harmful"),
        (0, 0, 1, True, "saturated"),
    ],
)
def test_classify(first: int, last: int, n: int, ceiling: bool, outcome: str) -> None:
    assert classify(first, last, n, ceiling) == outcome


def test_a_better_pass_1_is_named_where_more_samples_have_nothing_to_gain() -> None:
    found = judge(made_cell([[5] * 50], [[8] * 50], 8), "esamp")
    assert (found.outcome, found.advice) == ("saturated", "consider it")
    assert found.why.startswith("pass@1 rises, but the baseline solves 50 of 50 problems, at least 94%")
    assert found.because[0] == "one sample does better; more have hardly anything left to gain"


def test_saturated_is_only_what_both_figures_say() -> None:
    """30 of 30 solved is a ceiling; a mode that solves 26 is not seen to lose, and does not read as saturated."""
    lost = judge(made_cell([[8] * 30], [[8] * 26 + [0] * 4], 8), "esamp")
    assert (lost.changes[-1].direction, lost.changes[-1].after) == (0, 26 / 30)
    assert lost.outcome == "not resolved"
    assert judge(made_cell([[8] * 30], [[8] * 29 + [0]], 8), "esamp").outcome == "saturated"


def test_a_cost_in_pass_1_is_named() -> None:
    found = judge(made_cell([[0] * 30 + [8] * 30], [[1] * 20 + [0] * 10 + [3] * 30], 8), "esamp")
    assert found.outcome == "trajectory headroom only"
    assert found.why.startswith("pass@k rises, at a cost in pass@1: pass@1 50.0% to 22.9%")


def test_one_sample_shows_no_trajectories() -> None:
    found = judge(made_cell([[0] * 40], [[1] * 20 + [0] * 20], 1), "esamp")
    assert (found.outcome, found.advice) == ("not resolved", "consider it")
    assert "one sample a problem cannot show" in found.why
    assert [needed.k for needed in found.needed] == [1]
    assert any("too few" in reason for reason in found.because)


@pytest.mark.parametrize(("problems", "saturated"), [(28, False), (29, True)])
def test_a_ceiling_takes_29_problems(problems: int, saturated: bool) -> None:
    assert at_ceiling(problems, problems) is saturated
    assert at_floor(0, problems) is saturated


def test_bounds_are_one_sided() -> None:
    assert bounds(45, 60) == pytest.approx(proportion_confint(45, 60, alpha=0.1, method="beta"))


def test_nothing_solved_is_not_worth_it() -> None:
    found = judge(made_cell([[0] * 40], [[1] + [0] * 39], 8), "esamp")
    assert (found.outcome, found.advice) == ("not resolved", "skip it")
    assert "hardly solves anything" in found.why
    assert any("not fluent" in reason for reason in found.because)


def test_what_changes_no_more_than_the_baseline_itself_is_not_resolved() -> None:
    base, mode = [0] * 20 + [8] * 20, [1] * 9 + [0] * 11 + [8] * 20
    alone = judge(made_cell([base], [mode], 8), "esamp")
    noisy = judge(made_cell([base, [2] * 10 + [0] * 10 + [8] * 20], [mode, mode], 8), "esamp")
    assert alone.changes[-1].direction == 1 and alone.changes[-1].noise is None
    assert "--trials 2" in alone.why
    assert noisy.changes[-1].direction == 0 and noisy.changes[-1].noise == 0.25
    assert "differ by up to 25.0 points" in noisy.why


def test_each_trial_is_compared_with_its_like() -> None:
    found = judge(made_cell([[0, 1], [0, 0]], [[1, 0], [0, 1]], 2), "esamp")
    assert [(one.trial, one.before, one.after, one.gained, one.lost) for one in found.solved] == [
        (0, 1, 1, ["p0"], ["p1"]),
        (1, 0, 1, ["p1"], []),
    ]


def test_a_model_that_is_cut_off_is_mended_first() -> None:
    cell = made_cell([HARD], [[1] * 3 + [0] * 27 + [4] * 20], 8)
    cell.modes["baseline"][0].truncated = [6] * 50
    found = judge(cell, "esamp")
    assert found.advice == "skip it"
    assert any("max_tokens cut off 75% of its samples" in reason for reason in found.because)
    cell.modes["baseline"][0].truncated = [1] * 50
    assert judge(cell, "esamp").advice == "consider it"
    cell.modes["baseline"][0].answers = [None] * 26 + [0.5] * 24
    assert judge(cell, "esamp").advice == "skip it"


def test_the_grounds_of_advice() -> None:
    cell = made_cell([HARD], [[1] * 12 + [0] * 18 + [5, 2] * 10], 8)
    cell.throughput["esamp"] = Throughput(ratio=0.8, low=0.7, high=0.9, pairs=3)
    because = judge(cell, "esamp").because
    assert VERIFIER in because
    assert "its tokens/s are 0.80 x the baseline's (0.70 to 0.90, 3 pairs)" in because


WANTED = RequiredFigure("score", 0.0, "how much it explains", "It had not learnt: measure longer answers.")


def judged_with(*observed: list[dict[str, object] | None]) -> Judgement:
    """Of a cell with a trial for each list of what its processes saw."""
    counts = [HARD] * len(observed)
    cell = made_cell(counts, counts, 8, figures=[WANTED])
    for trial, figures in zip(cell.modes["esamp"], observed, strict=True):
        trial.observed = figures
    return judge(cell, "esamp")


def test_a_figure_that_every_process_showed_is_met() -> None:
    found = judged_with([{"score": 0.25}, {"score": 0.1}], [{"score": 3}])
    (seen,) = found.seen
    assert (seen.met, seen.lowest, seen.highest, seen.processes) == (True, 0.1, 3.0, 3)
    assert "how much it explains: score 0.1 at worst, above 0 in 3 of 3 processes" in found.because
    assert not any("It had not learnt" in reason for reason in found.because)


@pytest.mark.parametrize(
    ("observed", "said"),
    [
        ([[{"score": -0.5}, {"score": 0.2}]], "score \N{MINUS SIGN}0.5 at worst, above 0 in 1 of 2 processes"),
        ([[{"score": 0}]], "score 0, above 0 in 0 of 1 process"),
        ([[{"score": 0.2}, None]], "score 0.2, above 0 in 1 of 2 processes, not known in 1"),
        ([[{"score": 0.2}], []], "score 0.2, above 0 in 1 of 2 processes, not known in 1"),
        ([[{}]], "score is not known, in 1 process"),
        ([[]], "score is not known, in 1 process"),
        ([[{"score": None}, {"score": float("nan")}]], "score is not known, in 2 processes"),
        ([[{"score": True}, {"score": "high"}]], "score is not known, in 2 processes"),
        ([[{"score": float("inf")}, {"score": 10**400}]], "score is not known, in 2 processes"),
    ],
)
def test_a_figure_that_is_not_above_or_not_known_is_said_first(
    observed: list[list[dict[str, object] | None]], said: str
) -> None:
    found = judged_with(*observed)
    assert not found.seen[0].met
    assert found.because[0] == f"It had not learnt: measure longer answers ({said})"


def test_what_was_seen_changes_neither_outcome_nor_advice() -> None:
    for outcome, (cell, advice) in OUTCOMES.items():
        found = judge(msgspec.structs.replace(cell, figures=[WANTED]), "esamp")
        assert (found.outcome, found.advice) == (outcome, advice)
        assert found.because[1:] == judge(cell, "esamp").because


def test_what_was_seen_can_be_written_down() -> None:
    found = judged_with([{"score": -0.5, "more": [1, {"a": None}]}, None])
    assert msgspec.json.decode(msgspec.json.encode(found), type=Judgement) == found


def test_not_resolved_is_never_use_it_and_small_at_most_is_skip_it() -> None:
    base = [0] * 200 + [8] * 200
    found = judge(made_cell([base], [[0] * 199 + [1] + [8] * 200], 8), "esamp")
    assert (found.outcome, found.advice) == ("not resolved", "skip it")
    assert any("is unlikely" in reason for reason in found.because)


def test_noise_alone_is_rarely_resolved() -> None:
    numbers = np.random.default_rng(8)
    outcomes = []
    for _ in range(60):
        chances = numbers.beta(0.5, 0.7, 40)
        base, mode = (numbers.binomial(4, chances).tolist() for _ in range(2))
        outcomes.append(judge(made_cell([base], [mode], 4), "esamp").outcome)
    assert outcomes.count("not resolved") >= 55


def test_so_many_false_alarms_are_expected() -> None:
    judgements = [judge(cell, "esamp") for cell, _ in OUTCOMES.values()]
    assert expected_false(judgements) == pytest.approx(5 * 2 * 0.05)
    assert expected_false([]) == 0


@pytest.mark.parametrize(
    ("mode", "changed", "why"),
    [
        ("baseline", {}, "against itself"),
        ("other", {}, "no trial of other"),
        ("esamp", {"modes": {"esamp": []}}, "no trial of esamp"),
        ("esamp", {"problems": ["a"]}, "50 counts for 1 problems"),
        ("esamp", {"n": 2}, "from 0 to n = 2"),
    ],
)
def test_refuses_a_cell_that_cannot_be_judged(mode: str, changed: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        judge(msgspec.structs.replace(OUTCOMES["harmful"][0], **changed), mode)
