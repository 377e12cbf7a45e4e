"""Reads JSON lines of users; errors name file, line and field."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from patchkit.errors import PatchkitError

T = TypeVar("T")


def read_text(path: Path) -> str:
    """The whole file; one that is missing, or not text, is one line."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise PatchkitError(f"cannot read {path}: {error.strerror or error}", "check the path") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise PatchkitError(f"{path}, line {line}: this is not UTF-8", "save the file as UTF-8") from None


def decode_lines(text: str, where: str) -> list[tuple[str, dict[str, Any]]]:
    """One JSON object a line, each with the words that say where it stands; blank lines are passed over."""
    found = []
    for number, line in enumerate(text.split("\n"), start=1):  # not splitlines(): JSON may hold U+2028 as it is
        if not line.strip():
            continue
        place = f"{where}, line {number}"
        try:
            found.append((place, msgspec.json.decode(line, type=dict[str, Any])))
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
            raise PatchkitError(f"{place}: {error}", "write one JSON object a line") from None
    if not found:
        raise PatchkitError(f"{where} holds no problems", "write one JSON object a line")
    return found


def convert(fields: dict[str, Any], into: type[T], place: str) -> T:
    """The fields as ``into``; a field that is missing, or is something else, is named."""
    try:
        return msgspec.convert(fields, type=into)
    except msgspec.ValidationError as error:
        raise PatchkitError(f"{place}: {error}", "docs/tasks.md lists the fields") from None
