"""Expressions in a few words, for people."""

from __future__ import annotations

import ast

LONGEST = 100
"""Characters of an expression that are shown."""
OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
}


def shown(node: ast.AST) -> str:
    """An expression, or the first line of a statement, cut where it gets long."""
    try:
        text = ast.unparse(node).partition("\n")[0]
        if isinstance(node, ast.Call) and len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp):
            text = f"{ast.unparse(node.func)}{ast.unparse(node.args[0])}"  # ast.unparse puts it in parentheses twice
    except (RecursionError, ValueError, AttributeError):
        return "..."
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def said(test: ast.expr, answer: bool) -> str:
    """What holds, given what a condition came to: ``x is None`` where ``x is not None`` is false."""
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        operation = test.ops[0] if answer else OPPOSITES[type(test.ops[0])]()
        return shown(ast.Compare(test.left, [operation], test.comparators))
    return f"{shown(test)} is {'true' if answer else 'false'}"


def last(name: str) -> str:
    """The last part of a dotted name."""
    return name.rpartition(".")[2]
