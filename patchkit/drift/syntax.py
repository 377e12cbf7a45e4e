"""Syntax trees without what they mean: statements, names and parameters."""

from __future__ import annotations

import ast
from collections.abc import Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions inside it."""
    waiting: list[ast.AST] = list(reversed(function.body))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (*FUNCTIONS, ast.Lambda, ast.ClassDef)):
            waiting.extend(reversed(list(ast.iter_child_nodes(node))))


def name_of(value: ast.expr) -> str:
    """A name for a value: the last word of a name, an attribute or what is called; none for others."""
    if isinstance(value, ast.Call):
        return name_of(value.func)
    if isinstance(value, ast.Attribute):
        return value.attr
    return value.id if isinstance(value, ast.Name) else ""


def flattened(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a body, and those under its ``if``, ``try`` and ``with``."""
    for statement in body:
        if isinstance(statement, ast.If):
            yield from flattened(statement.orelse)  # the first branch is taken as the usual one: it comes last
            yield from flattened(statement.body)
        elif isinstance(statement, ast.Try):
            for handler in statement.handlers:
                yield from flattened(handler.body)
            yield from flattened([*statement.body, *statement.orelse, *statement.finalbody])
        elif isinstance(statement, ast.With):
            yield from flattened(statement.body)
        else:
            yield statement


def bound_names(statement: ast.stmt) -> list[str]:
    """The names that a statement binds, imports apart."""
    if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
        return [statement.name]
    if isinstance(statement, ast.Assign):
        names = [name for target in statement.targets for name in ast.walk(target) if isinstance(name, ast.Name)]
        return [name.id for name in names if isinstance(name.ctx, ast.Store)]  # not the `x` of `x.y = z`
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return [statement.target.id]
    return []


def statements(holder: ast.AST) -> Iterator[ast.stmt]:
    """Every statement inside a statement or a module; much faster than walking over all its expressions too."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for inner in getattr(holder, name, ()):
            if isinstance(inner, ast.stmt):
                yield inner
            yield from statements(inner)


def targets(statement: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    """What a statement assigns to, tuples taken apart."""
    given = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return [part for one in given for part in (one.elts if isinstance(one, (ast.Tuple, ast.List)) else [one])]


def is_name(value: ast.expr, name: str) -> bool:
    return isinstance(value, ast.Name) and value.id == name


def positional(function: Function) -> list[str]:
    """The names of the parameters that may be given by position, ``self`` among them."""
    return [one.arg for one in [*function.args.posonlyargs, *function.args.args]]


def with_defaults(function: Function) -> list[tuple[ast.arg, ast.expr | None]]:
    """The parameters by position, then those by keyword alone, each with its default."""
    arguments = function.args
    placed = [*arguments.posonlyargs, *arguments.args]
    missing = [None] * (len(placed) - len(arguments.defaults))
    defaults = [*missing, *arguments.defaults, *arguments.kw_defaults]
    return list(zip([*placed, *arguments.kwonlyargs], defaults, strict=True))


def is_static(function: Function) -> bool:
    return any(ast.unparse(one).endswith("staticmethod") for one in function.decorator_list)


def is_property(function: Function) -> bool:
    return any(ast.unparse(one).partition("(")[0].endswith("property") for one in function.decorator_list)
