"""What kind of value an attribute holds: a plain one, such as a string, or a member of an enum.

By its own annotation; of one that the constructor sets straight to a parameter, by that parameter's annotation, else by
its default.
"""

from __future__ import annotations

import ast

from patchkit.drift.inference import TRANSPARENT
from patchkit.drift.module import Module
from patchkit.drift.package import Definition, Universe
from patchkit.drift.syntax import FUNCTIONS, with_defaults

MEMBER = "a member of "
"""Before the name of an enum whose members are no strings and no numbers."""
PLAIN = ("str", "int", "float", "bool", "bytes")
PLAIN_ENUMS = {"StrEnum": "str", "IntEnum": "int", "IntFlag": "int"}
ENUMS = ("Enum", "Flag")
DEEPEST = 8


def value_kind(found: Definition, universe: Universe) -> str:
    """``str``, ``a member of Mode``; empty where that does not show."""
    node = found.node
    if isinstance(node, ast.AnnAssign):
        return _kind(node.annotation, found.module, universe)
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Name) or found.owner is None:
        return ""
    annotation, default = _parameter(node.value.id, node, found)
    return _kind(annotation, found.module, universe) or _kind_of_constant(default)


def _parameter(name: str, statement: ast.Assign, found: Definition) -> tuple[ast.expr | None, ast.expr | None]:
    """The annotation and the default of a parameter of the method that the statement stands in."""
    assert found.owner is not None
    for method in getattr(found.owner.node, "body", ()):
        if isinstance(method, FUNCTIONS) and any(one is statement for one in ast.walk(method)):
            for one, default in with_defaults(method):
                if one.arg == name:
                    return one.annotation, default
    return None, None


def _kind(written: ast.expr | None, module: Module, universe: Universe, depth: int = 0) -> str:
    """The kind that an annotation promises; of a union the one that all of it but None has."""
    if written is None or depth > DEEPEST:
        return ""
    if isinstance(written, ast.Constant) and isinstance(written.value, str):
        try:
            return _kind(ast.parse(written.value, mode="eval").body, module, universe, depth + 1)
        except SyntaxError:
            return ""
    if isinstance(written, ast.BinOp):
        return _common(
            [_kind(one, module, universe, depth + 1) for one in (written.left, written.right) if not _none(one)]
        )
    if isinstance(written, ast.Subscript):
        name = ast.unparse(written.value).rpartition(".")[2]
        inner = list(written.slice.elts) if isinstance(written.slice, ast.Tuple) else [written.slice]
        if name == "Literal":
            return _common([_kind_of_constant(one) for one in inner])
        inner = [one for one in inner if not _none(one)][: 1 if name == "Annotated" else None]
        return _common([_kind(one, module, universe, depth + 1) for one in inner]) if name in TRANSPARENT else ""
    found = universe.named(written, module)
    if found is None:
        return written.id if isinstance(written, ast.Name) and written.id in PLAIN else ""
    if isinstance(found.node, (ast.Assign, ast.AnnAssign)):  # Mode = Literal["a", "b"]
        return _kind(found.node.value, found.module, universe, depth + 1)
    return _kind_of_class(found, universe)


def _kind_of_class(found: Definition, universe: Universe) -> str:
    bases = [
        ast.unparse(base).rpartition(".")[2]
        for one in universe.lineage(found)
        for base in getattr(one.node, "bases", ())
    ]
    if plain := [PLAIN_ENUMS.get(base, base) for base in bases if base in (*PLAIN, *PLAIN_ENUMS)]:
        return plain[0]
    return f"{MEMBER}{found.name.rpartition('.')[2]}" if any(base in ENUMS for base in bases) else ""


def _common(kinds: list[str]) -> str:
    return kinds[0] if kinds and len(set(kinds)) == 1 else ""


def _none(written: ast.expr) -> bool:
    return isinstance(written, ast.Constant) and written.value is None


def _kind_of_constant(written: ast.expr | None) -> str:
    kind = type(written.value).__name__ if isinstance(written, ast.Constant) else ""
    return kind if kind in PLAIN else ""
