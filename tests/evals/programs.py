"""The corpus of answers to code tasks: whether what is read of each of them does what was asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import yaml

from patchkit.evals.graders.code_extraction import solution

FOLDER = Path(__file__).parent / "programs"
PARTS = {"written_on": "written on", "held_back": "held back"}


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an answer answers: the arguments of each case, and what the function must return."""

    entry_point: str
    prompt: str
    cases: list[tuple[list[Any], Any]]


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model's answer, in our own words; ``reads`` is False where no program can be read."""

    id: str
    family: str
    task: str
    text: str
    reads: bool = True


def asked() -> dict[str, Asked]:
    found = msgspec.convert(yaml.safe_load((FOLDER / "tasks.yaml").read_text("utf-8")), list[Asked])
    return {one.entry_point: one for one in found}


def answers(part: str) -> list[Answer]:
    """Those of ``written_on``, or of ``held_back``, which were written first, and which no reader is tuned on."""
    return msgspec.convert(yaml.safe_load((FOLDER / f"{part}.yaml").read_text("utf-8")), list[Answer])


def wrong(answer: Answer) -> str:
    """What is wrong with the program that is read; empty if nothing is. It runs here: all answers are our own."""
    task = asked()[answer.task]
    program = solution(task.prompt, task.entry_point, answer.text)
    if program is None or not answer.reads:
        return "" if (program is None) is not answer.reads else f"read as {program!r}"
    names: dict[str, Any] = {"__name__": "program", "print": lambda *words: None}
    try:
        exec(compile(program, "<program>", "exec"), names)
        for given, due in task.cases:
            if (got := names[task.entry_point](*given)) != due:
                return f"gives {got!r} for {given}: {program!r}"
    except Exception as error:  # a program may raise anything
        return f"{type(error).__name__}: {error}: {program!r}"
    return ""
