"""Tasks by name: ``humaneval``, ``aime2024``, ``arithmetic-LEVEL``, or a file of one's own problems."""

from __future__ import annotations

from pathlib import Path

from patchkit.errors import PatchkitError
from patchkit.evals.tasks.base import Task

NAMES = "humaneval, aime2024, arithmetic-LEVEL, or a path that ends in .jsonl"


def load_task(name: str, *, first: int | None = None, grader: str | None = None, data: Path | None = None) -> Task:
    """The task called ``name``.

    Args:
        name: one of ``NAMES``.
        first: only that many problems, from the front; the task is then called ``NAME:first``.
        grader: who checks a file of one's own problems; the other tasks have their grader.
        data: the file that holds the problems of ``aime2024``.

    Raises:
        PatchkitError: there is no such task, or its problems cannot be had, or they are not what they should be.
    """
    task = _load(name, grader, data)
    if first is None:
        return task
    from patchkit.evals.tasks.assembly import take_first

    return take_first(task, first)


def _load(name: str, grader: str | None, data: Path | None) -> Task:
    is_file, is_arithmetic = name.endswith(".jsonl"), name.partition("-")[0] == "arithmetic"
    if not is_file and not is_arithmetic and name not in ("humaneval", "aime2024"):
        raise PatchkitError(f"there is no task `{name}`", f"choose {NAMES}")
    if grader is not None and not is_file:
        raise PatchkitError(f"{name} has its own grader", "leave the grader out; only a .jsonl file takes one")
    if data is not None and name != "aime2024":
        raise PatchkitError(f"{name} takes no data file", "only aime2024 does; name your own .jsonl file as the task")
    if is_file:
        from patchkit.evals.tasks import jsonl

        return jsonl.load(Path(name), grader)
    if is_arithmetic:
        from patchkit.evals.tasks import arithmetic

        return arithmetic.load(name)
    if name == "humaneval":
        from patchkit.evals.tasks import humaneval

        return humaneval.load()
    from patchkit.evals.tasks import aime

    return aime.load(data)
