"""Takes what a program uses and does not define from other blocks of the answer: imports, functions, constants."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Sequence


def helpers(program: ast.Module, others: Sequence[ast.Module]) -> str:
    """Statements of ``others`` that bind names which ``program`` lacks, and what those lack in turn, in their order.

    Nothing else of them is taken, so that examples and checks of the model's own are not run.
    """
    statements = [statement for module in others for statement in module.body]
    binds = {name: at for at, statement in enumerate(statements) for name in _binds(statement)}
    wanted, taken = list(_undefined(program)), set[int]()
    while wanted:
        at = binds.get(wanted.pop())
        if at is not None and at not in taken:
            taken.add(at)
            wanted += _undefined(statements[at])
    return "".join(f"{ast.unparse(statements[at])}\n" for at in sorted(taken))


def _binds(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement at the margin binds, if it is one that defines something."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name
    elif isinstance(statement, (ast.Import, ast.ImportFrom)):
        for alias in statement.names:
            yield alias.asname or alias.name.partition(".")[0]
    elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id


def _undefined(tree: ast.AST) -> set[str]:
    """Names that are read and bound nowhere in the tree."""
    read, bound = set[str](), set(dir(builtins))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.stmt):
            bound.update(_binds(node))
    return read - bound
