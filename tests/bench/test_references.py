"""A task that its grader cannot judge is refused before anything is drawn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from patchkit.bench.accuracy import load_tasks
from patchkit.bench.plan import make_plan
from patchkit.errors import PatchkitError
from patchkit.evals.records import Grade
from patchkit.evals.tasks.base import Problem


def lenient(problem: Problem, text: str) -> Grade:
    return Grade(correct=True)


def broken(problem: Problem, text: str) -> Grade:
    raise KeyError(problem.id)


@pytest.mark.parametrize(
    ("reference", "grader", "said"),
    [
        ("a half", "integer", "task, problem one: integer cannot grade it: .*a half"),
        ("2", "test_references:broken", "problem one: test_references:broken cannot grade it: KeyError: 'one'"),
        ("2", "test_references:lenient", "accepts an empty answer"),
        ("2", "test_references:nobody", "grader 'test_references:nobody' cannot be loaded"),
        ("2", "nobody", "no entry point nobody in patchkit.graders"),
    ],
)
def test_what_cannot_be_graded_is_refused(tmp_path: Path, reference: str, grader: str, said: str) -> None:
    path = tmp_path / "task.jsonl"
    path.write_text(json.dumps({"id": "one", "prompt": "1 + 1", "reference": reference}) + "\n")
    plan = make_plan({"vllm": "0.20.0", "models": ["m"], "tasks": [{"task": str(path), "grader": grader}]}, "test")
    with pytest.raises(PatchkitError, match=said):
        load_tasks(plan)


def test_every_problem_of_the_tasks_that_come_with_patchkit_can_be_graded() -> None:
    levels = [f"arithmetic-{level}" for level in range(1, 5)]
    tasks = load_tasks(make_plan({"vllm": "0.20.0", "models": ["m"], "tasks": [*levels, "humaneval"]}, "test"))
    assert [len(asked.task.problems) for asked in tasks] == [64, 64, 64, 64, 164]
    assert [asked.max_tokens for asked in tasks] == [24, 24, 24, 24, 512]


def test_the_same_task_twice_is_refused() -> None:
    plan = make_plan({"vllm": "0.20.0", "models": ["m"], "tasks": ["arithmetic-1", "arithmetic-1"]}, "test")
    with pytest.raises(PatchkitError, match="arithmetic-1 is listed twice"):
        load_tasks(plan)
