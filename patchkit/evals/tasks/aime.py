"""AIME 2024: thirty competition problems, each with an integer answer from 0 to 999.

The problems are not handed on with patchkit. They come from a file, or from the hub through the optional ``datasets``;
the fields are those of HuggingFaceH4/aime_2024 (``id``, ``problem``, ``answer``), in any case, so that
Maxwell-Jia/AIME_2024 (``ID``, ``Problem``, ``Answer``) will do as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from patchkit.errors import PatchkitError
from patchkit.evals.tasks.assembly import assemble
from patchkit.evals.tasks.base import Problem, Task
from patchkit.evals.tasks.lines import convert, decode_lines, read_text

DATASET = "HuggingFaceH4/aime_2024"
ASK = "Reason step by step, and put the final answer, an integer from 0 to 999, within \\boxed{}."


class AimeRow(msgspec.Struct):
    """A problem of the data set, as far as it is used."""

    id: int | str
    problem: str
    answer: int | str


def load(data: Path | None = None) -> Task:
    """The problems in ``data``, a JSONL file, or else those on the hub."""
    rows = decode_lines(read_text(data), str(data)) if data is not None else _download()
    return assemble(
        name="aime2024",
        about="competition problems with an integer answer from 0 to 999, read off the last \\boxed{}",
        problems=[_problem(fields, place) for place, fields in rows],
        grader="patchkit.evals.graders.integer:grade",
        max_tokens=8192,
    )


def _download() -> Iterable[tuple[str, dict[str, Any]]]:
    instead = "or give the problems as a JSONL file with the fields id, problem and answer (--data FILE)"
    try:
        from datasets import load_dataset
    except ImportError:
        raise PatchkitError(
            "aime2024 is read through the library datasets, which is not installed",
            f"pip install 'patchkit[datasets]', {instead}",
        ) from None
    try:
        rows = list(load_dataset(DATASET, split="train"))
    except Exception as error:  # whatever the hub, the network or the cache make of it
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise PatchkitError(f"{DATASET} could not be loaded: {reason}", f"see to the network, {instead}") from None
    return [(f"{DATASET}, row {number}", dict(row)) for number, row in enumerate(rows, start=1)]


def _problem(fields: dict[str, Any], place: str) -> Problem:
    row = convert({name.lower(): value for name, value in fields.items()}, AimeRow, place)
    if not row.problem.strip():
        raise PatchkitError(f"{place}: the problem is empty", "write what is asked")
    return Problem(
        id=str(row.id),
        chat=f"{row.problem.strip()}\n\n{ASK}",
        plain=f"Problem: {row.problem.strip()}\n{ASK}\n\nSolution:",
        reference=str(_answer(row.answer, place)),
    )


def _answer(answer: int | str, place: str) -> int:
    said = re.fullmatch(r"\s*0*([0-9]{1,3})\s*", answer) if isinstance(answer, str) else None
    value = int(said[1]) if said else answer
    if isinstance(value, str) or not 0 <= value <= 999:
        raise PatchkitError(f"{place}: the answer is {ascii(answer)[:40]}", "AIME has integers from 0 to 999")
    return value
