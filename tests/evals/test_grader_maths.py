"""The maths grader: the same answer in another form is right, and is the same answer."""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from patchkit.errors import PatchkitError
from patchkit.evals.graders.maths import grade
from patchkit.evals.records import Grade
from patchkit.evals.tasks.base import Problem

FRAGMENTS = st.lists(
    st.sampled_from(["\\boxed{", "}", "{", "\\frac", "5", "1", ",", ".", "-", "/", " ", "$", "x", "=", "(", "]", "\\"]),
    max_size=12,
)


def graded(text: str, reference: str) -> Grade:
    return grade(Problem(id="p", chat="?", plain="?", reference=reference), text)


@pytest.mark.parametrize(
    ("reference", "text", "answer"),
    [
        ("1/2", r"\boxed{0.5}", "1/2"),
        (r"\frac{1}{2}", "so the answer is 1/2", "1/2"),
        ("7/3", "The answer is therefore 7/3. It took 2 steps.", "7/3"),
        ("7/3", "So the answer is 7/3.", "7/3"),
        ("0.5", r"\boxed{50\%}", "1/2"),
        ("-5", "-5", "-5"),
        ("1234", r"\boxed{1,234}", "1234"),
        (r"2\sqrt{2}", r"that is $\sqrt{8}$", "2*sqrt(2)"),
        (r"$2\sqrt{2}$", r"\boxed{\sqrt{8}}", "2*sqrt(2)"),
        (r"\{1,2\}", r"\boxed{2,1}", "{1, 2}"),
        ("(1,2]", "$(1,2]$", "Interval.Lopen(1, 2)"),
        ("5", r"\boxed{x=5}", "5"),
        ("x=5", r"\boxed{5}", "5"),
        (r"\text{east}", r"\boxed{\text{east}}", "east"),
        ("5", r"\boxed{4} no, \boxed{5}", "5"),
        ("x^2+2x+1", r"\boxed{(x+1)^2}", "(x + 1)**2"),
    ],
)
def test_the_same_in_another_form_is_right(reference: str, text: str, answer: str) -> None:
    grade = graded(text, reference)
    assert (grade.correct, grade.answer, grade.why) == (True, answer, "")


@pytest.mark.parametrize(
    ("reference", "text", "answer", "why"),
    [
        ("5", r"\boxed{5} no, \boxed{4}", "4", "another answer"),
        (r"2\sqrt{2}", r"\boxed{2}", "2", "another answer"),
        ("(1,2]", r"\boxed{[1,2)}", "Interval.Ropen(1, 2)", "another answer"),
        (r"\{1,2\}", r"\boxed{1}", "1", "another answer"),
        ("5", r"$2^{20000}$", "2^{20000}", "another answer"),
        ("5", "5 is what I do not say; $6$", "6", "another answer"),
        ("5", "no idea", None, "no answer"),
        ("5", "", None, "no answer"),
    ],
)
def test_another_answer_is_wrong(reference: str, text: str, answer: str | None, why: str) -> None:
    grade = graded(text, reference)
    assert (grade.correct, grade.answer, grade.why) == (False, answer, why)


def test_the_approach_is_what_was_calculated() -> None:
    assert graded(r"$3 \times 4 = 12$, so \boxed{12}", "12").approach == "3*4"


@pytest.mark.parametrize("reference", ["", "$", "$$"])
def test_a_reference_that_is_no_mathematics_is_refused(reference: str) -> None:
    with pytest.raises(PatchkitError, match=r"reference of p .* needs a number"):
        graded("5", reference)


def test_it_works_off_the_main_thread_and_leaves_the_alarm_alone() -> None:
    before, grades = signal.getsignal(signal.SIGALRM), []
    thread = threading.Thread(target=lambda: grades.append(graded(r"\boxed{3}", "3")))
    thread.start()
    thread.join()
    assert grades[0].correct
    assert signal.getsignal(signal.SIGALRM) is before


def test_it_does_not_warn_that_the_time_limit_is_off(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("math_verify").setLevel(logging.NOTSET)
    monkeypatch.setattr("math_verify.parser.TIMEOUT_WARNING_SHOWN", False)
    monkeypatch.setattr("math_verify.grader.TIMEOUT_WARNING_SHOWN", False)
    assert graded(r"\boxed{4}", "3").answer == "4"
    assert caplog.messages == []


@settings(deadline=None, max_examples=60)
@given(st.text() | FRAGMENTS.map("".join))
def test_no_text_is_too_odd(text: str) -> None:
    grade = graded(text, "5")
    assert grade.correct == (not grade.why)


@settings(deadline=None, max_examples=30)
@given(st.integers(-999, 999), st.integers(1, 999))
def test_a_fraction_equals_itself_reduced(numerator: int, denominator: int) -> None:
    grade = graded(rf"\boxed{{\frac{{{numerator * 6}}}{{{denominator * 6}}}}}", f"{numerator}/{denominator}")
    assert grade.correct


@pytest.mark.parametrize(
    ("reference", "text", "correct"),
    [
        ("2^{-99}", r"\boxed{2^{-98}}", False),
        ("2^{-99}", r"\boxed{2^{-99}}", True),
        ("1/1000000007", r"\boxed{\frac{1}{1000000009}}", False),
        ("7/2", r"The answer is $\frac{7}{2}$.", True),
        ("7/2", "\\boxed{7/2}\n\nQuestion: Half of 2?\n\\boxed{1}", True),
        ("7/2", r"<think>\boxed{1}</think>\boxed{3.5}", True),
        ("7/2", r"<think>so \boxed{7/2}", False),
        (r"\frac{7}{2}", "#### 7/2 (2 steps)", True),
    ],
)
def test_exact_numbers_are_compared_exactly_and_read_where_integers_are(
    reference: str, text: str, correct: bool
) -> None:
    assert graded(text, reference).correct is correct


ANSWERS = yaml.safe_load((Path(__file__).parent / "answers" / "maths.yaml").read_text("utf-8"))


@pytest.mark.parametrize("entry", ANSWERS, ids=lambda entry: entry["id"])
def test_an_answer_of_the_corpus_is_held_against_its_reference(entry: dict[str, Any]) -> None:
    assert graded(entry["text"], entry["reference"]).correct is entry["right"]
