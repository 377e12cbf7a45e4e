"""A grader that says how it confines what it runs."""

from __future__ import annotations

from patchkit.evals.records import Grade
from patchkit.evals.tasks.base import Problem


def grade(problem: Problem, text: str) -> Grade:
    return Grade(problem.reference == text)


def confinement() -> str:
    return "in a vault"
