"""Where code sets a setting after its default, and under which conditions."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from patchkit.drift.code_hashes import digest
from patchkit.drift.module import Module
from patchkit.drift.syntax import FUNCTIONS, Function, own_nodes, statements, targets


def settled_in(attribute: str, module: Module) -> Iterator[tuple[str, str]]:
    """Where a module sets ``x.attribute``, and a hash of the value and of the conditions that it stands under.

    The local names in the conditions are followed to what the function assigns to them.
    """
    if f".{attribute}" not in module.text:
        return
    for function in statements(module.tree):
        if isinstance(function, FUNCTIONS):
            for statement, conditions in _conditioned(function.body, ()):
                if any(isinstance(one, ast.Attribute) and one.attr == attribute for one in targets(statement)):
                    said = [*map(ast.unparse, conditions), ast.unparse(statement), *_local(conditions, function)]
                    yield module.place(statement), digest("\n".join(said))


def _conditioned(
    body: list[ast.stmt], above: tuple[ast.expr, ...]
) -> Iterator[tuple[ast.Assign | ast.AnnAssign, tuple[ast.expr, ...]]]:
    for statement in body:
        if isinstance(statement, (ast.Assign, ast.AnnAssign)):
            yield statement, above
        elif isinstance(statement, ast.If):
            yield from _conditioned(statement.body, (*above, statement.test))
            yield from _conditioned(statement.orelse, (*above, ast.UnaryOp(ast.Not(), statement.test)))
        elif not isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
            inner = [child for child in ast.iter_child_nodes(statement) if isinstance(child, ast.stmt)]
            yield from _conditioned(inner, above)


def _local(conditions: tuple[ast.expr, ...], function: Function) -> Iterator[str]:
    names = {node.id for test in conditions for node in ast.walk(test) if isinstance(node, ast.Name)}
    for node in own_nodes(function):
        if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id in names for one in targets(node)):
            yield ast.unparse(node)
