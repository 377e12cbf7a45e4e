"""Code as it was typed at Python's prompt: what follows ``>>>`` and ``...``, without what Python answered."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

PROMPT = re.compile(r"^[ \t]*>>> (?=\S)", re.MULTILINE)


def typed_code(text: str, parsed: Callable[[str], ast.Module | None]) -> str:
    """The definitions that were typed, one after the other; empty if there are none. Calls are examples, not code."""
    found = [chunk for chunk in _chunks(text) if (tree := parsed(chunk)) and not isinstance(tree.body[0], ast.Expr)]
    return "\n".join(found)


def _chunks(text: str) -> Iterator[str]:
    """What was typed at each prompt, with the lines that go on from it."""
    lines: list[str] = []
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith(">>> "):
            yield from _joined(lines)
            lines = [bare[4:]]
        elif lines and (bare == "..." or bare.startswith("... ")):
            lines.append(bare[4:])
        else:
            yield from _joined(lines)
            lines = []
    yield from _joined(lines)


def _joined(lines: list[str]) -> Iterator[str]:
    if lines:
        yield "\n".join(lines) + "\n"
