"""Which statements bind a name in a module or function, and how often."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from patchkit.drift.deciding.operations import MUTATORS
from patchkit.drift.package import FUNCTIONS, Function, Module, bound_names


@dataclass(frozen=True)
class Bound:
    """The names of a module.

    Attributes:
        single: those that one statement binds, always, with it.
        several: those that more than one statement binds, or one under a condition, or that are added to.
        changed: those that functions bind anew or add to while the program runs.
    """

    single: dict[str, ast.stmt]
    several: frozenset[str]
    changed: frozenset[str]


@dataclass
class Bindings:
    """Finds what binds a name, and remembers it."""

    _modules: dict[str, Bound] = field(default_factory=dict)
    _changed: dict[str, frozenset[str]] = field(default_factory=dict)
    _counts: dict[int, tuple[ast.AST, Counter[str]]] = field(default_factory=dict)

    def of(self, module: Module) -> Bound:
        if module.name not in self._modules:
            self._modules[module.name] = _of_module(module)
        return self._modules[module.name]

    def changed_in_place(self, module: Module) -> frozenset[str]:
        """The names by which functions of a module change lists, sets and dicts: perhaps those of the module itself."""
        if module.name not in self._changed:
            functions = [part for part in inside(module.tree) if isinstance(part, (*FUNCTIONS, ast.ClassDef))]
            found = {name for function in functions for name in _changes_inside(function)}
            self._changed[module.name] = frozenset(found)
        return self._changed[module.name]

    def local(self, node: Function | ast.Lambda) -> frozenset[str]:
        """Every name that a function binds somewhere in itself."""
        return frozenset(self._count(node))

    def twice(self, node: Function | ast.Lambda) -> frozenset[str]:
        """Those that it binds in more than one place."""
        return frozenset(name for name, times in self._count(node).items() if times > 1)

    def _count(self, node: Function | ast.Lambda) -> Counter[str]:
        if id(node) not in self._counts:
            found = Counter(part.arg for part in ast.walk(node.args) if isinstance(part, ast.arg))
            for part in inside(node):
                found.update(binds(part))
            self._counts[id(node)] = node, found  # the node is kept, so that its id stays its own
        return self._counts[id(node)][1]


def binds(part: ast.AST) -> list[str]:
    """The names that a piece of code binds itself."""
    if isinstance(part, ast.Name):
        return [] if isinstance(part.ctx, ast.Load) else [part.id]
    if isinstance(part, (*FUNCTIONS, ast.ClassDef)):
        return [part.name]
    if isinstance(part, ast.alias):
        return [part.asname or part.name.partition(".")[0]]
    if isinstance(part, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and part.name:
        return [part.name]
    return part.names if isinstance(part, (ast.Global, ast.Nonlocal)) else []


def rebound_inside(node: Function | ast.Lambda) -> frozenset[str]:
    """The variables around a function that it binds anew when it is called."""
    return frozenset(name for part in ast.walk(node) if isinstance(part, ast.Nonlocal) for name in part.names)


def named_inside(node: Function | ast.Lambda) -> frozenset[str]:
    """Every name in a function: a list among the variables around it may be changed when it is called."""
    return frozenset(part.id for part in ast.walk(node) if isinstance(part, ast.Name))


def imported_from(statement: ast.ImportFrom, module: Module) -> str:
    """The full name of the module that a statement imports from."""
    if not statement.level:
        return statement.module or ""
    package = module.name if module.path.endswith("__init__.py") else module.name.rpartition(".")[0]
    parts = package.split(".")
    base = parts[: max(len(parts) - statement.level + 1, 0)]
    return ".".join([*base, *([statement.module] if statement.module else [])])


def inside(node: ast.AST) -> Iterator[ast.AST]:
    """Everything in a function, less what is inside the functions and classes in it."""
    waiting = list(ast.iter_child_nodes(node))
    while waiting:
        part = waiting.pop()
        yield part
        if not isinstance(part, (*FUNCTIONS, ast.ClassDef, ast.Lambda)):
            waiting.extend(ast.iter_child_nodes(part))


def _of_module(module: Module) -> Bound:
    single: dict[str, ast.stmt] = {}
    several: set[str] = set()
    body = list(_without_types(module.tree.body))
    for statement in body:
        for name in _of_statement(statement):
            if name in single or not isinstance(statement, SIMPLE):
                several.add(name)
            else:
                single[name] = statement
    several |= {name for statement in body for name in _changes(statement)}
    changed = {name for function in _with_globals(module.tree.body) for name in _reaches_out(function)}
    kept = {name: statement for name, statement in single.items() if name not in several | changed}
    return Bound(kept, frozenset(several), frozenset(changed))


def _without_types(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, less those that only a type checker reads."""
    for statement in body:
        test = statement.test if isinstance(statement, ast.If) else None
        name = test.id if isinstance(test, ast.Name) else getattr(test, "attr", "")
        if isinstance(statement, ast.If) and name == "TYPE_CHECKING":
            yield from statement.orelse
        else:
            yield statement


SIMPLE = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, *FUNCTIONS, ast.ClassDef)


def _of_statement(statement: ast.stmt) -> list[str]:
    if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
        return [statement.name]
    if isinstance(statement, ast.AnnAssign):
        return bound_names(statement) if statement.value else []
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return [name for alias in statement.names for name in binds(alias)]
    return [name for part in inside(statement) for name in binds(part)]


def _changes(statement: ast.stmt) -> set[str]:
    """The names of lists, sets and dicts that a statement of a module changes in place."""
    return set() if isinstance(statement, (*FUNCTIONS, ast.ClassDef)) else _changed_among(inside(statement))


def _changes_inside(function: ast.AST) -> set[str]:
    return _changed_among(ast.walk(function))


def _changed_among(parts: Iterable[ast.AST]) -> set[str]:
    found: set[str] = set()
    for part in parts:
        base: ast.expr | None = None
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr in MUTATORS:
            base = part.func.value
        elif isinstance(part, ast.Subscript) and not isinstance(part.ctx, ast.Load):
            base = part.value
        if isinstance(base, ast.Name):
            found.add(base.id)
    return found


def _with_globals(body: Iterable[ast.stmt], function: Function | None = None) -> Iterator[Function]:
    """The functions that declare names of the module; only statements are looked at, as a module may be long."""
    for statement in body:
        if isinstance(statement, ast.Global) and function is not None:
            yield function
        inner = statement if isinstance(statement, FUNCTIONS) else function
        for name in ("body", "orelse", "finalbody"):
            yield from _with_globals(getattr(statement, name, ()), inner)
        for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
            yield from _with_globals(part.body, inner)


def _reaches_out(node: Function) -> set[str]:
    """The names of the module that a function binds anew."""
    declared = {name for part in inside(node) if isinstance(part, ast.Global) for name in part.names}
    return declared & {name for part in inside(node) if isinstance(part, ast.Name) for name in binds(part)}
