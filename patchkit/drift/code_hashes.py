"""Hashes of code: to see that it changed, and to know it again under another name."""

from __future__ import annotations

import ast
import hashlib

from patchkit.drift.syntax import FUNCTIONS


def stripped(node: ast.AST) -> ast.AST:
    """A copy without what changes nothing when it runs: docstrings and annotations of functions."""
    copied = ast.parse(ast.unparse(node))
    for part in ast.walk(copied):
        if isinstance(part, (*FUNCTIONS, ast.ClassDef)) and ast.get_docstring(part, clean=False) is not None:
            part.body = part.body[1:] or [ast.Pass()]
        if isinstance(part, FUNCTIONS):
            part.returns = None
        if isinstance(part, ast.arg):
            part.annotation = None
    return copied


def body_hash(node: ast.AST, bare: ast.AST | None = None) -> str:
    """Twelve digits that change with the code; of a class only with what it is derived from.

    Args:
        bare: what :func:`stripped` makes of it, where that is there already.
    """
    if isinstance(node, ast.Module):
        return ""
    if isinstance(node, ast.ClassDef):
        return digest(" ".join(map(ast.unparse, node.bases)))
    return digest(ast.dump(bare or stripped(node)))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def words_of(node: ast.AST, bare: ast.AST | None = None) -> frozenset[int]:
    """Hashes of the lines of a function, to measure how much of it is in another; ``bare`` as for :func:`body_hash`."""
    if not isinstance(node, FUNCTIONS):
        return frozenset()
    lines = ast.unparse(bare or stripped(node)).splitlines()[1:]
    return frozenset(int(digest(line.strip()), 16) for line in lines if line.strip())
