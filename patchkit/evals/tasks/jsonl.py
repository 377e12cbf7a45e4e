"""A user's own problems: a file with one JSON object a line, and a grader by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from patchkit.errors import PatchkitError
from patchkit.evals.tasks.assembly import assemble
from patchkit.evals.tasks.base import Problem, Task
from patchkit.evals.tasks.lines import convert, decode_lines, read_text

MAX_TOKENS = 2048


class Line(msgspec.Struct):
    """A line of the file; fields that are not named here are the author's own.

    Attributes:
        id: unique in the file.
        prompt: what is asked, with a chat template or without one.
        chat, plain: both, instead of ``prompt``, where the two should differ.
        reference: what the grader holds a sample against. A string is handed over as it is, anything else as JSON.
    """

    id: int | str
    reference: Any
    prompt: str | None = None
    chat: str | None = None
    plain: str | None = None


def load(path: Path, grader: str | None) -> Task:
    """The problems of ``path``, in its order; the task is called what the file is called."""
    if not grader:
        raise PatchkitError(
            f"{path} does not say who checks the answers",
            "name a grader: integer, maths, python, or module:attribute of your own",
        )
    rows = decode_lines(read_text(path), str(path))
    return assemble(
        name=path.stem,
        about=f"the problems of {path.name}, checked by {grader}",
        problems=[_problem(convert(fields, Line, place), place) for place, fields in rows],
        grader=grader,
        max_tokens=MAX_TOKENS,
    )


def _problem(line: Line, place: str) -> Problem:
    chat, plain = _prompts(line, place)
    if line.reference is None or not str(line.reference).strip():
        raise PatchkitError(f"{place}: the reference is empty", "give what the grader holds a sample against")
    reference = line.reference if isinstance(line.reference, str) else msgspec.json.encode(line.reference).decode()
    return Problem(id=str(line.id), chat=chat, plain=plain, reference=reference)


def _prompts(line: Line, place: str) -> tuple[str, str]:
    """The prompts with a chat template, and without one."""
    match [line.prompt, line.chat, line.plain]:
        case [str(prompt), None, None] if prompt.strip():
            return prompt, prompt
        case [None, str(chat), str(plain)] if chat.strip() and plain.strip():
            return chat, plain
    raise PatchkitError(f"{place}: what is asked is not clear", "give either prompt, or both chat and plain")
