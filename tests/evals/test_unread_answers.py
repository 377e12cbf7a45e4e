"""A text in which nothing can be read is distinguished from a wrong answer, by every grader."""

from __future__ import annotations

import pytest

from patchkit.evals.graders import integer, maths, python
from patchkit.evals.tasks.base import Problem

CODE = (
    '{"entry_point": "f", "prompt": "def f():\\n    \\"\\"\\"One.\\"\\"\\"\\n", '
    '"test": "def check(candidate):\\n    assert candidate() == 1\\n"}'
)


def problem(reference: str) -> Problem:
    return Problem(id="p", chat="?", plain="?", reference=reference)


@pytest.mark.parametrize(
    ("text", "unread"),
    [("I give up.", True), ("", True), ("<think>It is 7", True), ("7", False), (r"\boxed{none}", False), ("5", False)],
)
def test_integers(text: str, unread: bool) -> None:
    assert integer.grade(problem("5"), text).unread is unread


@pytest.mark.parametrize(("text", "unread"), [("no idea", True), (r"\boxed{\frac{1}{3}}", False), ("$1/2$", False)])
def test_mathematics(text: str, unread: bool) -> None:
    assert maths.grade(problem("1/2"), text).unread is unread


@pytest.mark.parametrize(("text", "unread"), [("I cannot.", True), ("def f(:\n", False)])
def test_programs(text: str, unread: bool) -> None:
    assert python.grade(problem(CODE), text).unread is unread
