"""The integer grader: which number of a text is its answer, and what never counts as one."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from patchkit.errors import PatchkitError
from patchkit.evals.graders.integer import grade
from patchkit.evals.records import Grade
from patchkit.evals.tasks.base import Problem

FRAGMENTS = st.lists(
    st.sampled_from(["\\boxed{", "}", "{", "5", "12", ",", ".", "-", "/", " ", "answer is ", "$", "\\text{", "=", "+"])
)


def graded(text: str, reference: str = "25") -> Grade:
    return grade(Problem(id="p", chat="?", plain="?", reference=reference), text)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("25", "25"),
        ("7 + 5 = 12.", "12"),
        ("first 3, then 4", "4"),
        ("2.5", "2.5"),
        (".5", ".5"),
        ("so 1/2", "1/2"),
        ("it is 3.0", "3"),
        ("025", "25"),
        ("000", "0"),
        ("-0", "0"),
        ("+7", "7"),
        ("1,234,567.", "1234567"),
        ("1{,}234", "1234"),
        ("= -7", "-7"),
        ("\u22127", "-7"),
        ("10-3", "3"),
        ("\u20135", "-5"),
        ("- 5", "-5"),
        ("it is - 5", "-5"),
        ("= **- 5**", "-5"),
        ("10 - 5", "5"),
        ("10  -  5", "5"),
        ("10 \u2013 5", "5"),
        ("1 000", "1000"),
        ("1\u2009234\u202f567", "1234567"),
        ("3 25", "25"),
        ("1 2 345", "345"),
        ("2024 100", "100"),
        ("1,5", "1,5"),
        ("1,23", "1,23"),
        ("1e3", "1e3"),
        ("2.5E-3", "2.5E-3"),
        ("1_000_000", "1_000_000"),
        ("_it is 25_", "25"),
        ("10:30", "10:30"),
        ("1: 30", "30"),
        ("10^2", "10^2"),
        ("10^{-2}", "10^{-2}"),
        ("10**2", "10**2"),
        ("10\u00b2", "10\u00b2"),
        ("2\u00bd", "2\u00bd"),
        ("5 x^2", "5"),
        ("5 x^-2", "5"),
        ("5 x^{2}", "5"),
        ("1/2/2024", "1/2/2024"),
        ("25%", "25"),
        ("$25", "25"),
        ("x2 and v1.2.3", None),
        ("no number", None),
        ("", None),
    ],
)
def test_the_last_number_is_read_whole(text: str, answer: str | None) -> None:
    assert graded(text).answer == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is 12. I looked at it in 2 ways.", "12"),
        ("**Answer:** 12, after 30 steps", "12"),
        ("The answer is $12$, by step 3", "12"),
        ("the answer is 3; no, the answer is 4. 100%", "4"),
        ("The answer is 7 + 5 = 12", "12"),
        ("Question 1 has answer 7 - 5 = 2", "2"),
        ("The answer is: **42**. Check: 42 - 2 = 40", "42"),
        ("The answer is *42*. Check: 42 - 2 = 40", "42"),
        ("The answer is **40** + 2 = 42", "42"),
        ("The answer is 21 * 2 = 42", "42"),
        ("The answer is 21*2 = 42", "42"),
        ("**Answer:** - 5, not 5", "-5"),
        ("The answer is \u20135, not 5", "-5"),
        ("The answer is 1 000, after 3 steps", "1000"),
        ("The answer is 1e3 = 1000", "1000"),
        ("The answer is 10:30, so 10", "10:30"),
    ],
)
def test_what_is_called_the_answer_goes_before_the_last_number(text: str, answer: str) -> None:
    assert graded(text).answer == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{12} and 30", "12"),
        (r"\boxed{12}, the answer is 30", "12"),
        (r"\boxed{1} \boxed{2}", "2"),
        (r"\boxed{2} \boxed{}", "2"),
        (r"\boxed{2} \boxed{3", "2"),
        (r"\boxed{\boxed{5}}", "5"),
        (r"\boxed {025}", "25"),
        (r"\boxed{\text{25}}", "25"),
        (r"\boxed{25 \text{ cm}}", "25"),
        (r"\boxed{25^\circ}", "25"),
        (r"\boxed{25\%}", "25"),
        (r"\boxed{$1,234$}", "1234"),
        (r"\boxed{1\,234}", "1234"),
        (r"\boxed{1{,}234}", "1234"),
        (r"\boxed{1,\!234}", "1234"),
        (r"\boxed{1 234}", "1234"),
        (r"\boxed{1\,23}", "1 23"),
        (r"\boxed{1{,}23}", "1,23"),
        (r"\boxed{$2$ $5$}", "2 5"),
        (r"\boxed{- 5}", "-5"),
        (r"\boxed{10^2}", "10^2"),
        (r"\boxed{x = -3}", "-3"),
        (r"\boxed{2.5}", "2.5"),
        (r"\boxed{\frac{1}{25}}", r"\frac125"),
        (r"\boxed{20 + 5}", "20+5"),
        (r"\boxed{25x}", "25x"),
        (r"\boxed{\text{none}} of 25", "none"),
    ],
)
def test_the_last_box_goes_before_everything_else(text: str, answer: str) -> None:
    assert graded(text).answer == answer


@pytest.mark.parametrize(
    ("text", "reference", "correct", "why"),
    [
        ("25", "025", True, ""),
        ("1,000", "1000", True, ""),
        ("1000", "1,000", True, ""),
        ("1,2", "2", False, "no integer"),
        ("\u20135", "5", False, "another integer"),
        ("-4", "-4", True, ""),
        ("24", "25", False, "another integer"),
        ("-25", "25", False, "another integer"),
        ("2.5", "5", False, "no integer"),
        (r"\boxed{\frac{25}{1}}", "25", True, ""),
        ("", "25", False, "no answer"),
    ],
)
def test_right_means_the_same_integer(text: str, reference: str, correct: bool, why: str) -> None:
    grade = graded(text, reference)
    assert (grade.correct, grade.why) == (correct, why)


@pytest.mark.parametrize(
    ("text", "approach"),
    [
        ("12", None),
        ("7 + 5 = 12", "7+5"),
        ("7 + 5 = 13", "7+5"),
        ("20 + 30 = 50, 7 \u00d7 8 = 56; then 50 - 15", "20+30;7*8;50-15"),
        (r"$3 \times 4$ is $12$, so 3 x 4", "3*4"),
        ("(1 + 2) * 3", "1+2*3"),
        ("5\n- 3", None),
    ],
)
def test_the_approach_is_what_was_calculated_not_what_came_of_it(text: str, approach: str | None) -> None:
    assert graded(text).approach == approach


@pytest.mark.parametrize("reference", ["", "2.5", "five", "1/2", "1,2", "1,2345", "1 2"])
def test_a_reference_that_is_no_integer_is_refused(reference: str) -> None:
    with pytest.raises(PatchkitError, match=r"reference of p .* needs an integer"):
        graded("25", reference)


@settings(deadline=None)  # a form that takes more than a moment for a long text shows in how long this takes
@given(st.text() | FRAGMENTS.map("".join))
@example("9" * 100_000)
@example("\\boxed{" * 100_000)
@example("1," * 100_000)
@example("1+" * 100_000)
@example("answer " * 100_000)
@example("111 " * 100_000 + "1")
@example("answer is 1" + ",111" * 100_000 + "1")
@example("= " + "*" * 100_000 + "- " + "1_" * 100_000)
@example("1:" * 100_000 + "^1" * 100_000)
def test_no_text_is_too_odd(text: str) -> None:
    grade = graded(text)
    assert grade.correct == (grade.answer == "25") == (not grade.why)


@settings(deadline=None)
@given(
    st.integers(-(10**6), 10**6),
    st.sampled_from(
        [
            "{}",
            "{:,}",
            "**{}**",
            "It is *{}*.",
            "The answer is **{}**. Check: 9 - 2 = 7",
            r"\boxed{{{}}}",
            "The answer is {}.",
            "so = {} cm",
        ]
    ),
)
def test_every_integer_is_found_in_every_form(number: int, form: str) -> None:
    assert graded(form.format(number), str(number)).correct
