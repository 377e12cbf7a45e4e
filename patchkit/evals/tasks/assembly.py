"""Makes a task of problems: the checks of every task, and the hash of its content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from patchkit.errors import PatchkitError
from patchkit.evals.tasks.base import Problem, Task

LONGEST_ID = 80


def assemble(*, name: str, about: str, problems: Iterable[Problem], grader: str, max_tokens: int) -> Task:
    """A task of these problems, in their order.

    Raises:
        PatchkitError: there are none, or an id is empty, long, unprintable or a duplicate.
    """
    kept = tuple(problems)
    if not kept:
        raise PatchkitError(f"{name} holds no problems", "give it at least one")
    seen: set[str] = set()
    for problem in kept:
        _check_id(name, problem.id)
        if problem.id in seen:
            raise PatchkitError(f"{name} has the id `{problem.id}` twice", "give every problem an id of its own")
        seen.add(problem.id)
    return Task(
        name=name, about=about, problems=kept, grader=grader, max_tokens=max_tokens, digest=digest_problems(kept)
    )


def take_first(task: Task, count: int) -> Task:
    """The task of its first ``count`` problems: ``humaneval:40``."""
    if not 1 <= count <= len(task.problems):
        raise PatchkitError(
            f"{task.name} has {len(task.problems)} problems: there is no taking the first {count}",
            f"take 1 to {len(task.problems)}, or leave it out for all",
        )
    first = task.problems[:count]
    return msgspec.structs.replace(task, name=f"{task.name}:{count}", problems=first, digest=digest_problems(first))


def digest_problems(problems: tuple[Problem, ...]) -> str:
    """The first 16 hex digits of the SHA-256 of what is asked and what is held to be right."""
    return hashlib.sha256(msgspec.json.encode(problems)).hexdigest()[:16]


def _check_id(name: str, id: str) -> None:
    if not id.strip() or len(id) > LONGEST_ID or not id.isprintable():
        shown = ascii(id[:LONGEST_ID])
        raise PatchkitError(
            f"{name} has a problem with the id {shown}", f"ids are 1 to {LONGEST_ID} printable characters"
        )
