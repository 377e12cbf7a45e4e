"""Answers that are the body of a function alone: indented as it stands under its ``def``, or at the margin."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from textwrap import indent

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def with_body(prompt: str, block: str, parsed: Callable[[str], ast.Module | None]) -> str | None:
    """The prompt with unindented code as its function's body; None if the code has no return or yield."""
    tree = parsed(block)
    if tree is None or not any(isinstance(node, (ast.Return, ast.Yield, ast.YieldFrom)) for node in _outside(tree)):
        return None
    lines = [line for line in prompt.splitlines() if line.strip()]
    margin = re.match(r"\s*", lines[-1] if lines else "")
    return f"{prompt.rstrip()}\n{indent(block, margin[0] if margin and margin[0] else '    ')}"


def is_stub(tree: ast.Module, name: str) -> bool:
    """Whether the function of that name is only sketched: with ``...``, ``pass`` or a docstring for a body."""
    bodies = [
        node.body
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name
    ]
    return bool(bodies) and all(
        isinstance(statement, ast.Pass)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for statement in bodies[-1]
    )


def _outside(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, FUNCTIONS):
            yield child
            yield from _outside(child)
