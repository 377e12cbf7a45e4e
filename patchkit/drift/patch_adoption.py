"""How much of a patch upstream has adopted: the share of its added statements that a vLLM function now contains."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from textwrap import dedent, indent
from typing import TYPE_CHECKING

from patchkit.drift.code_hashes import words_of
from patchkit.drift.contract import Contract

if TYPE_CHECKING:
    from patchkit.series.patch import Patch

MOST = 0.8
"""Share of the added statements that must stand in vLLM's function."""
LEAST = 20
"""Characters of all added statements: shorter ones match by chance."""
LONGEST = 20
"""Lines of a statement."""


def upstreamed(patch: Patch, old: Contract, new: Contract) -> str:
    """``3 of 3 statements`` if the newer vLLM has most of what the patch adds and the older has not; else empty."""
    added = added_statements(patch)
    if sum(map(len, added)) < LEAST:
        return ""
    hashes = [_words(text) - NOTHING for text in added]
    now, before = (sum(one <= contract.words for one in hashes) for contract in (new, old))
    if now < MOST * len(added) or now <= before or before >= MOST * len(added):
        return ""
    return f"{now} of {len(added)} statements"


def added_statements(patch: Patch) -> list[str]:
    """Unparsed statements with a line that the patch adds; of a compound one its head, above a ``pass``.

    Imports and definition heads are left out: they say little about the change.
    """
    found = [text for file in patch.patch_set for hunk in file for text in _of_hunk(hunk)]
    return [text for text in dict.fromkeys(found) if not text.startswith(("import ", "from ", "def ", "class ", "@"))]


def _of_hunk(hunk: Sequence[object]) -> Iterator[str]:
    lines = [line for line in hunk if not line.is_removed and line.value.strip()]  # type: ignore[attr-defined]
    at = 0
    while at < len(lines):
        for end in range(at + 1, min(at + LONGEST, len(lines)) + 1):
            text = _parsed("".join(line.value for line in lines[at:end]))  # type: ignore[attr-defined]
            if text is not None:
                if text and any(line.is_added for line in lines[at:end]):  # type: ignore[attr-defined]
                    yield text
                at = end
                break
        else:
            at += 1  # part of something that the hunk does not show whole


def _parsed(text: str) -> str | None:
    """One unparsed statement, "" for a comment or a string; None if it is incomplete."""
    bare = dedent(text).strip()
    if bare.startswith("elif "):
        bare = bare[2:]
    for ending in ("", " pass"):
        try:
            body = ast.parse(bare + ending).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        if len(body) == 1 and not _is_text(body[0]):
            return ast.unparse(body[0])
        return "" if len(body) <= 1 else None
    return None


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _words(text: str) -> frozenset[int]:
    """As vLLM's own functions are hashed."""
    return words_of(ast.parse(f"def f():\n{indent(text, '    ')}").body[0])


NOTHING = _words("pass")
