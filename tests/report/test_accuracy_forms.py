"""Every form says every verdict with its figures, and believes nothing that it was given."""

from __future__ import annotations

import io
import re
from typing import get_args

import made_accuracy as made
import msgspec
import pytest
from accuracy_words import MINUS, Said, every_form, shown, words_of_markdown, words_of_page
from rich.console import Console

from patchkit.bench.accuracy_evidence import AccuracyEvidence
from patchkit.evals.records import BASELINE, Outcome
from patchkit.report.accuracy import render_html, render_markdown, show_text


@every_form
@pytest.mark.parametrize("outcome", get_args(Outcome))
def test_outcome_and_advice_are_said(said: Said, outcome: Outcome) -> None:
    output = said(made.evidence(made.by_hand(outcome)))
    assert outcome in output
    assert "consider it" in output


@every_form
def test_both_rates_have_difference_interval_and_p(said: Said) -> None:
    output = said(made.evidence(made.by_hand()))
    for rates in ("31.1% → 34.7%", "51.1% → 54.7%"):
        assert rates in output
    assert output.count("+3.6") >= 2
    assert output.count(f"({MINUS}1.2 to +8.5)") >= 2
    assert "p = 0.19" in output


@every_form
def test_moves_throughput_and_sight_are_said(said: Said) -> None:
    output = said(made.evidence(made.by_hand()))
    for figure in (
        f"+0 {MINUS}0",
        f"+1 {MINUS}0",
        "0.78 x (0.63 to 0.88), 2 pairs",
        "45.5 points of pass@1",
        "±7.8 points",
    ):
        assert figure in output


@pytest.mark.parametrize("said", [words_of_page, words_of_markdown])
def test_the_long_forms_have_everything_else(said: Said) -> None:
    output = said(made.evidence(made.by_hand()))
    for part in (
        "this is why",
        "this is the reason",
        "for the +3.6 measured it would take 4,321 problems (there are 2), or 567 samples of each (there are 4)",
        "0.75",  # p of the problems solved
        "wrong",
        "7,675",
        "temperature 0.8",
        "9 of 9 gates green",
        "torch 2.11.0",
        "2 cores of AMD EPYC, 23.5 GiB",
        "878f027b20b2c0ffee",
        "0007-Clear-the-tail",
        "patchkit bench matrix matrix.yaml --vllm 0.20.0",
        "patchkit gate --vllm 0.20.0 --device cpu",
        "no code that a model wrote was run",
        "up to 0.1 would appear so",
    ):
        assert part in output, part


@every_form
def test_unproven_comes_before_any_figure(said: Said) -> None:
    evidence = made.evidence(made.by_hand(), unproven="decode_shrink is red", gates="")
    output = said(evidence)
    assert "decode_shrink is red" in output
    assert output.index("decode_shrink is red") < output.index("31.1%")
    assert "unproven" not in said(made.evidence(made.by_hand())).lower()


@every_form
def test_samples_that_were_not_graded_come_before_any_figure(said: Said) -> None:
    cell = made.by_hand()
    cell.modes["esamp"][0].ungraded, cell.modes["esamp"][1].ungraded = 1200, 34
    output = said(made.evidence(cell))
    sentence = "1,234 samples could not be graded and count as wrong: 1,234 of sums, model, esamp."
    assert sentence in output
    assert output.index(sentence) < output.index("31.1%")
    assert "could not be graded" not in said(made.evidence(made.by_hand()))


@every_form
def test_samples_in_which_nothing_could_be_read_are_told_by_mode(said: Said) -> None:
    cell = made.by_hand()
    for trial, count in zip(cell.modes["baseline"], (2, 1), strict=True):
        trial.unread = count
    output = " ".join(said(made.evidence(cell)).split())
    assert "samples in which no answer could be read" in output
    assert "3 of 16" in output and "not known" in output, "a mode that is not known is not zero"
    for trial in (*cell.modes["baseline"], *cell.modes["esamp"]):
        trial.unread = 0
    assert "no answer could be read" not in said(made.evidence(cell))


@every_form
def test_a_verdict_on_what_was_not_seen_at_work_says_so(said: Said) -> None:
    output = said(made.evidence(made.watched(0.25, -0.5)))
    assert "m1: It had not learnt: such answers test it untrained." in output
    assert "m0: It had not learnt" not in output
    assert f"score {MINUS}0.5 at worst, above 0 in 0 of 4 processes" in output
    assert "score 0.25 at worst, above 0 in 4 of 4 processes" in output


@every_form
def test_what_is_not_known_is_not_met(said: Said) -> None:
    output = said(made.evidence(made.watched(None)))
    assert "m0: score is not known, and what is not known is not met. It had not learnt: such answers" in output
    assert "score is not known, in 4 processes" in output


@every_form
def test_cells_that_were_not_seen_at_work_are_named(said: Said) -> None:
    cells = [msgspec.structs.replace(made.watched(score), task=f"t{score:g}") for score in (0.5, -1.0, 0.25)]
    output = said(made.evidence(*cells))
    assert "m0 on t-1: It had not learnt: such answers test it untrained." in output


@pytest.mark.parametrize("said", [words_of_page, words_of_markdown])
def test_modes_with_settings_of_their_own_say_them(said: Said) -> None:
    output = said(made.evidence(made.watched(0.5, 0.5, named=True)))
    assert output.count("preset pm0") >= 2 and output.count("preset pm1") >= 2
    assert "given to m0" in output


@pytest.mark.parametrize("said", [words_of_page, words_of_markdown])
def test_everything_that_the_probe_saw_is_told(said: Said) -> None:
    cell = made.watched(0.5)
    cell.modes["m0"][0].observed = [{"score": 0.5, "tokens": 1024}, {"score": -0.25, "tokens": None}]
    output = said(made.evidence(cell))
    for part in ("how much it explains", f"{MINUS}0.25 to 0.5", "1,024, none in 1 of 2", "tokens", "note"):
        assert part in output, part


@every_form
def test_a_runtime_without_a_probe_has_nothing_to_say(said: Said) -> None:
    output = said(made.evidence(made.by_hand()))
    assert "probe" not in output and "not known" not in output


@every_form
def test_one_trial_does_not_pass_for_a_quiet_one(said: Said) -> None:
    output = said(made.evidence(made.by_hand(trials=1)))
    assert "not measured: --trials 2" in output
    assert "one pair: no interval" in output
    assert "±" not in output


@every_form
def test_a_baseline_alone_is_not_judged(said: Said) -> None:
    output = said(made.evidence(made.cell(count=5, n=2, modes=())))
    assert "Nothing was compared" in output
    above, *rest = output.split("How to read it")  # of the page, in its contents and above its legend
    assert "not resolved" not in above + (rest[-1].partition("The matrix")[2] if rest else "")


@every_form
def test_nothing_measured_is_said(said: Said) -> None:
    assert "Nothing was measured" in said(made.evidence())


@every_form
def test_one_sample_has_one_rate(said: Said) -> None:
    output = said(made.evidence(made.cell(count=6, n=1)))
    assert "pass@1" in output
    assert not re.search(r"pass@[2-9]", output)


@every_form
def test_every_mode_has_its_verdict(said: Said) -> None:
    output = said(made.evidence(made.cell(count=6, n=2, modes=("esamp", "wider"), trials=2)))
    for mode in ("esamp", "wider"):
        assert re.search(rf"SmolLM2-135M on arithmetic-2: {mode} |{mode}: no difference shown on arithmetic-2", output)
    assert "SmolLM2-135M" in output


@every_form
def test_a_path_is_shown_by_its_last_part(said: Said) -> None:
    output = said(made.evidence(made.cell(model="/data/weights/some-model/", count=4, n=2)))
    assert "some-model on arithmetic-2: esamp" in output or "pass@k of some-model · " in output
    assert "/data/weights" not in output.partition("How ")[0]


@every_form
def test_models_of_one_name_are_told_apart(said: Said) -> None:
    output = said(made.evidence(made.cell(model="one/tiny", count=4, n=2), made.cell(model="two/tiny", count=4, n=2)))
    assert "one/tiny" in output
    assert "two/tiny" in output
    assert "2 models" in output or "pass@k of one/tiny and two/tiny" in output


@pytest.mark.parametrize("said", [words_of_page, words_of_markdown])
def test_no_problem_is_lost_among_many(said: Said) -> None:
    cell = made.cell("humaneval", count=164, n=4, trials=1, names="HumanEval/{number}", lift=0.1)
    output = said(made.evidence(cell))
    for problem in cell.problems:
        number = problem.partition("/")[2]
        assert re.search(rf"(HumanEval/|\b){number}\b", output), problem
    assert output.count("did not move") == 1


@every_form
def test_one_problem_is_enough(said: Said) -> None:
    output = said(made.evidence(made.cell(count=1, n=4)))
    assert "SmolLM2-135M on arithmetic-2: esamp" in output or "no difference shown on arithmetic-2" in output


def test_a_terminal_gets_colours() -> None:
    file = io.StringIO()
    show_text(made.evidence(made.by_hand("harmful")), Console(file=file, force_terminal=True, width=100))
    assert "\x1b[" in file.getvalue()


@pytest.mark.parametrize("form", [render_html, render_markdown, shown])
def test_the_same_evidence_gives_the_same_bytes(form: Said, usual: AccuracyEvidence) -> None:
    again = msgspec.json.decode(msgspec.json.encode(usual), type=AccuracyEvidence)
    assert form(usual) == form(again)


def test_evidence_is_left_as_it_was(usual: AccuracyEvidence) -> None:
    before = msgspec.json.encode(usual)
    render_html(usual), render_markdown(usual), shown(usual)
    assert msgspec.json.encode(usual) == before


@pytest.mark.parametrize(
    ("drawn", "last", "said", "unsaid"),
    [
        (40.0, 600.0, "took 10 min of that, drawing 80.0 s", "the last session"),
        (900.0, 300.0, "drawing, in all sessions 30 min the last session 5 min", "took 5 min"),
    ],
)
def test_the_last_session_does_not_pass_for_all_of_them(drawn: float, last: float, said: str, unsaid: str) -> None:
    cell = made.by_hand()
    for trial in cell.modes[BASELINE]:
        trial.seconds = drawn
    evidence = made.evidence(cell)
    evidence.seconds = last
    output = words_of_page(evidence)
    assert said in output and unsaid not in output
