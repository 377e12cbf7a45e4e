"""What a definition says of itself: parameters, annotations and defaults, in one spelling."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from patchkit.drift.contract import Parameter
from patchkit.drift.package import Definition
from patchkit.drift.syntax import Function, name_of, positional, with_defaults


def unset_default(found: Definition) -> str:
    """The default in ``"NAME": lambda: … os.getenv("NAME", default)`` of a module's table of environment variables."""
    table = getattr(found.module.bindings.get("environment_variables"), "value", None)
    if found.owner is not None or not isinstance(table, ast.Dict):
        return ""
    name = found.name.rpartition(".")[2]
    for key, value in zip(table.keys, table.values, strict=True):
        if isinstance(key, ast.Constant) and key.value == name:
            asked = [
                node for node in ast.walk(value) if isinstance(node, ast.Call) and name_of(node) in ("getenv", "get")
            ]
            return next((ast.unparse(call.args[1]) for call in asked if len(call.args) > 1), "")
    return ""


def default_of(value: ast.expr | None) -> str:
    """A default as written; of ``Field(default=x)`` only ``x``."""
    if value is None:
        return ""
    if isinstance(value, ast.Call) and name_of(value) in ("Field", "field"):
        given = {one.arg: one.value for one in value.keywords}
        first = value.args[0] if value.args else given.get("default", given.get("default_factory", value))
        return ast.unparse(first)
    return ast.unparse(value)


def parameters_of(function: Function) -> Iterator[Parameter]:
    every, placed = with_defaults(function), len(positional(function))
    yield from (_parameter(one, "positional", default) for one, default in every[:placed])
    if function.args.vararg:
        yield _parameter(function.args.vararg, "rest")
    yield from (_parameter(one, "keyword", default) for one, default in every[placed:])
    if function.args.kwarg:
        yield _parameter(function.args.kwarg, "named")


def _parameter(one: ast.arg, kind: str, default: ast.expr | None = None) -> Parameter:
    return Parameter(one.arg, kind, ast.unparse(default) if default else None, spelled(one.annotation))


def spelled(annotation: ast.expr | None) -> str:
    """An annotation in one spelling: ``Optional[X]`` is ``X | None``; quotes and ``typing.`` go."""
    if annotation is None:
        return ""
    return ast.unparse(_Plain().visit(ast.parse(ast.unparse(annotation), mode="eval")).body)


class _Plain(ast.NodeTransformer):
    """Old spellings of types to new ones."""

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if isinstance(node.value, str):
            try:
                return _Plain().visit(ast.parse(node.value, mode="eval")).body  # type: ignore[no-any-return]
            except SyntaxError:
                return node
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id in ("typing", "t"):
            return self.visit(ast.Name(node.attr, ast.Load()))  # type: ignore[no-any-return]
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        plain = {"List": "list", "Dict": "dict", "Tuple": "tuple", "Set": "set", "Type": "type"}
        return ast.Name(plain.get(node.id, node.id), ast.Load())

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        name = node.value.id if isinstance(node.value, ast.Name) else ""
        inner = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
        if name == "Optional":
            inner.append(ast.Constant(None))
        if name not in ("Optional", "Union"):
            return node
        union = inner[0]
        for one in inner[1:]:
            union = ast.BinOp(union, ast.BitOr(), one)
        return union
