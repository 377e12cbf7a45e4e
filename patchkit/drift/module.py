"""One parsed file: what it binds at its top level, where from, and what its classes set on themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from patchkit.drift.syntax import FUNCTIONS, Function, bound_names, flattened, is_name, statements, targets


@dataclass(frozen=True, eq=False)
class Module:
    """One parsed file: its text, what it binds at its top level, and the modules it imports ``*`` from (``stars``).

    ``earlier``: what a name was bound to before a statement that binds it again to something made of itself.
    """

    name: str
    path: str
    text: str
    tree: ast.Module
    bindings: Mapping[str, ast.stmt | ast.alias]
    origins: Mapping[str, tuple[str, str]]
    stars: tuple[str, ...]
    typing_only: frozenset[str] = frozenset()
    fallbacks: Mapping[str, ast.stmt] = field(default_factory=dict)
    earlier: Mapping[str, ast.stmt | ast.alias] = field(default_factory=dict)
    _attributes: dict[ast.ClassDef, dict[str, list[Setting]]] = field(default_factory=dict)
    _bodies: dict[ast.ClassDef, dict[str, list[ast.stmt]]] = field(default_factory=dict)

    def place(self, node: ast.AST) -> str:
        """``v1/sample/sampler.py:42``, below the package's own folder."""
        return f"{self.path.partition('/')[2]}:{getattr(node, 'lineno', 1)}"

    def set_on_self(self, owner: ast.ClassDef) -> dict[str, list[Setting]]:
        """Where the methods of a class set attributes of ``self``, by name: annotated ones first, then ``__init__``."""
        if owner not in self._attributes:
            self._attributes[owner] = _settings(owner)
        return self._attributes[owner]

    def in_body(self, owner: ast.ClassDef) -> Mapping[str, list[ast.stmt]]:
        """The names that the body of a class binds, and the statements that do."""
        if owner not in self._bodies:
            found: dict[str, list[ast.stmt]] = {}
            for statement in flattened(owner.body):
                for name in bound_names(statement):
                    found.setdefault(name, []).append(statement)
            self._bodies[owner] = found
        return self._bodies[owner]


class Setting(NamedTuple):
    """A statement that sets an attribute of ``self``, and the method that it stands in."""

    statement: ast.Assign | ast.AnnAssign
    method: Function


def parse_module(name: str, path: str, text: str) -> Module:
    """``text`` parsed.

    Raises:
        SyntaxError, ValueError, RecursionError: it is not Python that this Python can parse.
    """
    tree = ast.parse(text)
    bindings: dict[str, ast.stmt | ast.alias] = {}
    origins: dict[str, tuple[str, str]] = {}
    stars: list[str] = []
    earlier: dict[str, ast.stmt | ast.alias] = {}
    package = name if path.endswith("__init__.py") else name.rpartition(".")[0]
    for statement in flattened(tree.body):
        if isinstance(statement, ast.ImportFrom):
            origin = _origin(statement, package)
            for alias in statement.names:
                if alias.name == "*":
                    stars.append(origin)
                    continue
                bindings[alias.asname or alias.name] = alias
                origins[alias.asname or alias.name] = origin, alias.name
        elif isinstance(statement, ast.Import):
            for alias in statement.names:
                bound = alias.asname or alias.name.partition(".")[0]
                bindings[bound] = alias
                origins[bound] = (alias.name if alias.asname else bound), ""
        else:
            for bound in bound_names(statement):
                if bound in bindings and _made_of(statement, bound):
                    earlier.setdefault(bound, bindings[bound])
                bindings[bound] = statement
    typing_only = frozenset(_imported_for_typing(tree.body)) & {
        key for key, one in bindings.items() if isinstance(one, ast.alias)
    }
    return Module(name, path, text, tree, bindings, origins, tuple(stars), typing_only, _fallbacks(tree.body), earlier)


def origin_of(statement: ast.ImportFrom, module: Module) -> str:
    return _origin(statement, module.name if module.path.endswith("__init__.py") else module.name.rpartition(".")[0])


def _made_of(statement: ast.stmt, name: str) -> bool:
    value = statement.value if isinstance(statement, (ast.Assign, ast.AnnAssign)) else None
    return value is not None and any(isinstance(one, ast.Name) and one.id == name for one in ast.walk(value))


def _origin(statement: ast.ImportFrom, package: str) -> str:
    """The full name of the module that is imported from."""
    if not statement.level:
        return statement.module or ""
    base = package.split(".")[: len(package.split(".")) - statement.level + 1]
    return ".".join([*base, *([statement.module] if statement.module else [])])


def _imported_for_typing(body: list[ast.stmt]) -> Iterator[str]:
    """Names that are imported under ``if TYPE_CHECKING`` and bound nowhere else at the top level."""
    under = [one for one in body if isinstance(one, ast.If) and ast.unparse(one.test).endswith("TYPE_CHECKING")]
    inside = [inner for one in under for inner in one.body]
    rest = flattened([one for one in body if one not in under] + [inner for one in under for inner in one.orelse])
    elsewhere = {name for one in rest for name in _all_bound(one)}
    yield from (name for one in inside for name in _all_bound(one) if name not in elsewhere)


def _all_bound(statement: ast.stmt) -> list[str]:
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return [alias.asname or alias.name.partition(".")[0] for alias in statement.names]
    return bound_names(statement)


def _fallbacks(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    """What the handlers of a ``try`` bind where its import fails."""
    handlers = [handler for one in body if isinstance(one, ast.Try) for handler in one.handlers]
    return {name: one for handler in handlers for one in flattened(handler.body) for name in bound_names(one)}


def own_member(module: Module, owner: ast.AST, name: str) -> ast.stmt | None:
    """The statement by which a class itself has a member: in its body, else the first that sets it on ``self``."""
    if not isinstance(owner, ast.ClassDef):
        return None
    in_body = module.in_body(owner).get(name)
    if in_body:
        return next((one for one in reversed(in_body) if not _is_overload(one)), in_body[0])
    settings = module.set_on_self(owner).get(name)
    return settings[0].statement if settings else None


def _settings(owner: ast.ClassDef) -> dict[str, list[Setting]]:
    methods = [one for one in owner.body if isinstance(one, FUNCTIONS)]
    methods.sort(key=lambda method: method.name != "__init__")
    found: dict[str, list[Setting]] = {}
    for method in methods:
        for statement in statements(method):
            if isinstance(statement, (ast.Assign, ast.AnnAssign)):
                for target in targets(statement):
                    if isinstance(target, ast.Attribute) and is_name(target.value, "self"):
                        found.setdefault(target.attr, []).append(Setting(statement, method))
    for settings in found.values():
        settings.sort(key=lambda setting: not isinstance(setting.statement, ast.AnnAssign))
    return found


def _is_overload(statement: ast.stmt) -> bool:
    return isinstance(statement, FUNCTIONS) and any(
        ast.unparse(decorator).endswith(("overload", ".setter", ".deleter")) for decorator in statement.decorator_list
    )
