"""What stands in the place of something of vLLM: what it takes, and whether it hands on what the original returned."""

from __future__ import annotations

import ast
from collections.abc import Callable as Predicate
from collections.abc import Iterator

from patchkit.drift.package import Definition
from patchkit.drift.syntax import FUNCTIONS, Function, own_nodes, positional

IsOriginal = Predicate[[ast.Call], bool]
"""Whether a call is one of what was replaced."""


def made_by(factory: Definition) -> Definition:
    """The function that a factory defines inside itself and returns; the factory itself if it is none."""
    assert isinstance(factory.node, FUNCTIONS)
    inner = {one.name: one for one in factory.node.body if isinstance(one, FUNCTIONS)}
    for statement in factory.node.body:
        if isinstance(statement, ast.Return) and isinstance(statement.value, ast.Name) and statement.value.id in inner:
            found = inner[statement.value.id]
            return Definition(f"{factory.name}.{found.name}", found, factory.module)
    return factory


def called_with_self(factory: Function, replacement: Function) -> str | None:
    """The factory's parameter that the replacement calls with its own first parameter first: the original."""
    given, own = {*positional(factory), *(one.arg for one in factory.args.kwonlyargs)}, positional(replacement)[:1]
    for node in ast.walk(replacement):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in given:
            continue
        if [ast.unparse(one) for one in node.args[:1]] == own:
            return node.func.id
    return None


def hands_on(replacement: Function, is_original: IsOriginal) -> bool:
    """Whether a replacement calls the original and returns only what that returned, or does nothing but raise."""
    nodes = list(own_nodes(replacement))
    returned = [node.value for node in nodes if isinstance(node, ast.Return) and node.value]
    if not any(isinstance(node, ast.Call) and is_original(node) for node in nodes):
        return not returned and bool(replacement.body) and isinstance(replacement.body[-1], ast.Raise)
    theirs = set(_names_of_originals(nodes, is_original))
    return all(
        _is_original(value, is_original) or (isinstance(value, ast.Name) and value.id in theirs) for value in returned
    )


def _names_of_originals(nodes: list[ast.AST], is_original: IsOriginal) -> Iterator[str]:
    """Names that hold what the original returned, and nothing else."""
    assigned = [
        (target.id, _is_original(node.value, is_original))
        for node in nodes
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    ]
    others = {name for name, theirs in assigned if not theirs}
    yield from (name for name, theirs in assigned if theirs and name not in others)


def _is_original(value: ast.expr, is_original: IsOriginal) -> bool:
    inner = value.value if isinstance(value, ast.Await) else value
    return isinstance(inner, ast.Call) and is_original(inner)


def as_function(written: ast.Lambda) -> ast.FunctionDef:
    returned = ast.copy_location(ast.Return(written.body), written)
    made = ast.FunctionDef("<lambda>", written.args, [returned], [])
    return ast.copy_location(made, written)
