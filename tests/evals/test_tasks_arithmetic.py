"""The arithmetic levels: fixed problems, right references, a grader that reads them."""

from __future__ import annotations

import re

import pytest

from patchkit.errors import PatchkitError
from patchkit.evals.graders.integer import grade_first_line
from patchkit.evals.tasks import load_task

LEVELS = ["arithmetic-1", "arithmetic-2", "arithmetic-3", "arithmetic-4"]


def answer(asked: str) -> int:
    first, sign, second = re.fullmatch(r"[A-Z][a-z ]+:? ([0-9]+)(?: ([+*]) ([0-9]+)\..*)?", asked).groups()  # type: ignore[union-attr]
    return int(first) + int(second) if sign == "+" else int(first) * int(second or 1)


@pytest.mark.parametrize("name", LEVELS)
def test_a_level_has_64_problems_that_differ_and_whose_answers_are_right(name: str) -> None:
    task = load_task(name)
    assert task.name == name
    assert len({problem.chat for problem in task.problems}) == len(task.problems) == 64
    for problem in task.problems:
        assert answer(problem.chat) == int(problem.reference)


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("arithmetic-1", "5d91c32454f00d19"),
        ("arithmetic-2", "b2b8e022b168d7ce"),
        ("arithmetic-3", "218db1c3f235d614"),
        ("arithmetic-4", "cbfc8234022173f7"),
    ],
)
def test_the_problems_are_the_measured_ones_under_every_python(name: str, digest: str) -> None:
    assert load_task(name).digest == digest  # docs/tasks.md has figures of these very problems


@pytest.mark.parametrize("name", LEVELS)
def test_a_model_without_a_chat_template_may_go_on_to_the_next_line(name: str) -> None:
    for problem in load_task(name).problems:
        assert grade_first_line(problem, f" {problem.reference}\n1 + 1 = 2\n").correct
        assert not grade_first_line(problem, f" 0\n{problem.reference}").correct


@pytest.mark.parametrize("name", ["arithmetic", "arithmetic-0", "arithmetic-5", "arithmetic-", "arithmetic-01"])
def test_an_unknown_level_is_refused_with_the_levels_there_are(name: str) -> None:
    with pytest.raises(PatchkitError, match=f"no task `{name}`; choose a level: arithmetic-1, arithmetic-2, "):
        load_task(name)
