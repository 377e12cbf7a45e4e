"""Styles around a number change how it looks, and not what is read, however they are nested."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchkit.evals.graders.integer import read_answer
from patchkit.evals.graders.styles import flatten_styles, strip_styles

STYLES = [
    r"\text{%s}",
    r"\textbf{%s}",
    r"\textit {%s}",
    r"\mathbf{%s}",
    r"\mathrm{ %s }",
    r"\boldsymbol{%s}",
    r"\bm{%s}",
    r"\mbox{%s}",
    r"\underline{%s}",
    r"\emph{%s}",
    r"\textcolor{red}{%s}",
    r"\color{blue}{%s}",
    r"{%s}",
    r"{\bf %s}",
    r"\displaystyle %s",
]
PLACES = [r"\boxed{%s}", r"so \boxed{x = %s} of 5 metres", r"#### %s", r"The answer is %s", r"5 or 6? It is %s."]
nested = st.lists(st.sampled_from(STYLES), max_size=8)


def wrapped(number: str, styles: list[str]) -> str:
    for style in styles:
        number = style % number
    return number


@given(st.integers(-(10**6), 10**6), nested, st.sampled_from(PLACES))
def test_any_nesting_of_styles_around_a_number_reads_as_the_number(number: int, styles: list[str], place: str) -> None:
    assert read_answer(place % wrapped(str(number), styles)) == str(number)


@given(st.integers(1, 99), st.integers(1, 9), nested)
def test_a_unit_in_a_style_stays_a_unit(number: int, power: int, styles: list[str]) -> None:
    unit = rf"{number}\text{{ m}}^{power}"
    assert read_answer(rf"\boxed{{{wrapped(unit, styles)}}}") == str(number)


@given(st.sampled_from(["none", "no such number", "A", "无解"]), st.lists(st.sampled_from(STYLES[:10]), max_size=4))
def test_words_in_a_box_are_no_number_of_the_text(words: str, styles: list[str]) -> None:
    read = read_answer(rf"of 25, or 7: \boxed{{{wrapped(words, styles)}}} and not 12")
    assert read is not None and not any(letter.isdigit() for letter in read)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{7.3e1}", "73"),
        (r"\boxed{7.3E+1}", "73"),
        (r"\boxed{\text{7.3e1}}", "73"),
        (r"\boxed{x = 7.3 \times 10^{1}}", "73"),
        (r"\boxed{\mathbf{7.3 \times 10^1}}", "73"),
        (r"\boxed{-730e-1}", "-73"),
        (r"The answer is 7.3e1.", "73"),
        (r"#### 7e3", "7000"),
        (r"\boxed{7.35e1}", "7.35e1"),
        (r"\boxed{7e-1}", "7e-1"),
        (r"\boxed{7e999}", "7e999"),
        (r"\boxed{\mathbf 73}", "73"),
        (r"\boxed{\mathrm{\mathbf{7}3}}", "73"),
    ],
)
def test_scientific_notation_is_an_integer_where_it_is_exactly_one(text: str, answer: str) -> None:
    assert read_answer(text) == answer


@given(st.text(r"\{}^ 7a", max_size=30), st.sampled_from(["{", "\\text{", "}"]), st.integers(0, 3))
def test_whatever_the_braces_something_comes_out(text: str, more: str, often: int) -> None:
    assert "\\textbf" not in strip_styles(text + more * often) + flatten_styles(text + more * often)
    read_answer(rf"\boxed{{{text}}}")


def test_a_hundred_thousand_styles_are_one_pass() -> None:
    assert flatten_styles(r"\textbf{" * 100_000 + "7" + "}" * 100_000) == r"\text{7}"
