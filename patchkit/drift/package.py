"""Names to definitions in Python sources that are read, never run: imports, re-exports, base classes, attributes.

Static reading has limits: a name that is bound by ``exec``, ``__getattr__`` or a decorator is not found here.
"""

from __future__ import annotations

import ast
import gc
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from patchkit.drift.source import Source
from patchkit.errors import PatchkitError

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
MOST_HOPS = 8
"""Re-exports and base classes that are followed one after the other."""


@contextmanager
def uncollected() -> Iterator[None]:
    """Disable the garbage collector: with so many syntax trees it takes longer than everything else."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


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
            for statement in _flattened(owner.body):
                for name in bound_names(statement):
                    found.setdefault(name, []).append(statement)
            self._bodies[owner] = found
        return self._bodies[owner]


class Setting(NamedTuple):
    """A statement that sets an attribute of ``self``, and the method that it stands in."""

    statement: ast.Assign | ast.AnnAssign
    method: Function


@dataclass(frozen=True, eq=False)
class Definition:
    """Where a symbol is defined.

    Attributes:
        name: its full name there, which may be another than the one that was asked for.
        node: the statement that defines it; for a module its tree.
        owner: the class that has it as a member, or None.
        hops: how it was reached, from what was asked for: "re-exported", "inherited".
    """

    name: str
    node: ast.AST
    module: Module
    owner: Definition | None = None
    hops: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        return self.module.place(self.node)

    def reached(self, how: str) -> Definition:
        return Definition(self.name, self.node, self.module, self.owner, (how, *self.hops))


@dataclass
class Package:
    """The sources of one top-level package, parsed when first asked for."""

    source: Source
    top: str
    _parsed_before: Mapping[str, Module] = field(default_factory=dict)
    _modules: dict[str, Module | None] = field(default_factory=dict)

    @classmethod
    def after(cls, source: Source, top: str, before: Package | None) -> Package:
        """Another release of a package: the files that have not changed since ``before`` are not parsed again."""
        kept = {} if before is None else {one.path: one for one in before._modules.values() if one}
        return cls(source, top, kept)

    @cached_property
    def _paths(self) -> frozenset[str]:
        return frozenset(self.source.paths())

    def path_of(self, module: str) -> str | None:
        """The file of a module by its dotted name; None if there is none."""
        stem = module.replace(".", "/")
        return next((path for path in (f"{stem}.py", f"{stem}/__init__.py") if path in self._paths), None)

    def module(self, name: str) -> Module | None:
        """A parsed module; None if there is none.

        Raises:
            PatchkitError: it is no Python that this Python can parse: whatever it defines would seem to be gone.
        """
        if name not in self._modules:
            path = self.path_of(name)
            text = self.source.read(path) if path else None
            self._modules[name] = self._parsed(name, path, text) if path and text is not None else None
        return self._modules[name]

    def _parsed(self, name: str, path: str, text: str) -> Module:
        known = self._parsed_before.get(path)
        if known and known.text == text:
            return known
        try:
            return parse_module(name, path, text)
        except (SyntaxError, ValueError, RecursionError) as error:
            ours = ".".join(map(str, sys.version_info[:2]))
            line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            raise PatchkitError(
                f"{path}{line} of {self.source.origin} cannot be parsed by Python {ours}: {error}",
                "run patchkit with a newer Python, or fix the file if it is yours",
            ) from error

    def loaded(self, folder: str) -> list[Module]:
        """The modules of a folder that were parsed so far, by name."""
        found = [module for module in self._modules.values() if module and module.path.startswith(f"{folder}/")]
        return sorted(found, key=lambda module: module.name)

    def below(self, folder: str) -> Iterator[Module]:
        for path in sorted(self._paths):
            if path.startswith(f"{folder}/"):
                found = self.module(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
                if found:
                    yield found

    def modules_in(self, module: Module) -> set[str]:
        folder = module.path.removesuffix("__init__.py")
        inside = [path.removeprefix(folder) for path in self._paths if path.startswith(folder)]
        return {path.partition("/")[0].removesuffix(".py") for path in inside} - {"__init__"}

    def siblings(self, module: Module) -> Iterator[Module]:
        """Modules beside ``module`` whose names end in the same word, as cpu_model_runner and gpu_model_runner do."""
        folder, _, file = module.path.rpartition("/")
        word = file.removesuffix(".py").rpartition("_")[2]
        for path in sorted(self._paths):
            beside, _, other = path.rpartition("/")
            if beside == folder and other != file and other.removesuffix(".py").rpartition("_")[2] == word:
                found = self.module(path.removesuffix(".py").replace("/", "."))
                if found:
                    yield found


class Universe:
    """Several packages that import each other: a runtime and its vLLM."""

    def __init__(self, *packages: Package) -> None:
        self._packages = {package.top: package for package in packages}
        self.local_bases: dict[ast.ClassDef, list[Definition]] = {}
        """Base classes of classes whose names only a function around them knows."""

    def package(self, name: str) -> Package | None:
        return self._packages.get(name.partition(".")[0])

    def module(self, name: str) -> Module | None:
        package = self.package(name)
        return package.module(name) if package else None

    def find(self, name: str) -> Definition | None:
        """The definition of a full dotted name: a module, a top-level name, or a member of a class."""
        parts = name.split(".")
        for cut in range(len(parts), 0, -1):
            module = self.module(".".join(parts[:cut]))
            if module is None:
                continue
            found: Definition | None = Definition(module.name, module.tree, module)
            for part in parts[cut:]:
                if found and isinstance(found.node, ast.Module) and part in found.module.typing_only:
                    return None  # it is imported for type checkers, and not there when it runs
                found = self.member(found, part) if found else None
            return found
        return None

    def member(self, holder: Definition, name: str) -> Definition | None:
        """What ``holder.name`` is, for a module or a class."""
        if isinstance(holder.node, ast.Module):
            return self.top_level(holder.module, name)
        if isinstance(holder.node, ast.ClassDef):
            found = self.class_member(holder, name)
            return (
                Definition(found.name, found.node, found.module, found.owner, holder.hops + found.hops)
                if found
                else None
            )
        return None

    def top_level(self, module: Module, name: str, hops: int = 0) -> Definition | None:
        """What a module binds to ``name``, through imports."""
        if hops > MOST_HOPS:
            return None
        node = module.bindings.get(name)
        if isinstance(node, ast.Assign) and name in module.earlier and _is_name(node.value, name):
            node = module.earlier[name]  # Worker = Worker
        if node is not None:
            return self.bound_by(module, name, node, hops)
        submodule = self.module(f"{module.name}.{name}") if module.path.endswith("__init__.py") else None
        if submodule:
            return Definition(submodule.name, submodule.tree, submodule)
        for star in module.stars:
            behind = self.module(star)
            found = self.top_level(behind, name, hops + 1) if behind else None
            if found:
                return found.reached("re-exported")
        return None

    def bound_by(self, module: Module, name: str, node: ast.stmt | ast.alias, hops: int = 0) -> Definition | None:
        if not isinstance(node, ast.alias):
            return Definition(f"{module.name}.{name}", node, module)
        origin, original = module.origins[name]
        found = self._imported(origin, original, hops)
        if found is None and name in module.fallbacks:  # try: import … except: name = …
            return Definition(f"{module.name}.{name}", module.fallbacks[name], module)
        return found.reached("re-exported") if found else None

    def imported(self, origin: str, name: str) -> Definition | None:
        return self._imported(origin, name, 0)

    def _imported(self, origin: str, original: str, hops: int) -> Definition | None:
        if not original:  # import a.b as c
            module = self.module(origin)
            return Definition(module.name, module.tree, module) if module else None
        behind = self.module(origin)
        found = self.top_level(behind, original, hops + 1) if behind else None
        if found is None and (submodule := self.module(f"{origin}.{original}")):
            return Definition(submodule.name, submodule.tree, submodule)
        return found

    def class_member(self, holder: Definition, name: str) -> Definition | None:
        """A member of a class: in its body, set on ``self`` in a method, or inherited, in that order."""
        for place, owner in enumerate(self.lineage(holder)):
            node = own_member(owner.module, owner.node, name)
            if node is not None:
                found = Definition(f"{owner.name}.{name}", node, owner.module, owner)
                return found.reached("inherited") if place else found
        return None

    def lineage(self, holder: Definition) -> Iterator[Definition]:
        """The class and its base classes as far as they can be found, nearest first, depth first."""
        waiting = [holder]
        seen: set[str] = set()
        while waiting:
            owner = waiting.pop(0)
            if owner.name in seen or len(seen) > 4 * MOST_HOPS:
                continue
            seen.add(owner.name)
            yield owner
            waiting[:0] = self.bases(owner)

    def bases(self, owner: Definition) -> list[Definition]:
        """The base classes of a class that are defined in one of the packages."""
        if not isinstance(owner.node, ast.ClassDef):
            return []
        if owner.node in self.local_bases:
            return self.local_bases[owner.node]
        found = [self.named(base, owner.module) for base in owner.node.bases]
        return [base for base in found if base and isinstance(base.node, ast.ClassDef)]

    def named(self, expression: ast.expr, module: Module) -> Definition | None:
        """What a name or a chain of attributes stands for in a module; ``Base[T]`` is ``Base``."""
        if isinstance(expression, ast.Subscript):
            return self.named(expression.value, module)
        if isinstance(expression, ast.Name):
            return self.top_level(module, expression.id)
        if isinstance(expression, ast.Attribute):
            holder = self.named(expression.value, module)
            return self.member(holder, expression.attr) if holder else None
        return None


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
    for statement in _flattened(tree.body):
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
    rest = _flattened([one for one in body if one not in under] + [inner for one in under for inner in one.orelse])
    elsewhere = {name for one in rest for name in _all_bound(one)}
    yield from (name for one in inside for name in _all_bound(one) if name not in elsewhere)


def _all_bound(statement: ast.stmt) -> list[str]:
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return [alias.asname or alias.name.partition(".")[0] for alias in statement.names]
    return bound_names(statement)


def _fallbacks(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    """What the handlers of a ``try`` bind where its import fails."""
    handlers = [handler for one in body if isinstance(one, ast.Try) for handler in one.handlers]
    return {name: one for handler in handlers for one in _flattened(handler.body) for name in bound_names(one)}


def _flattened(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a body, and those under its ``if``, ``try`` and ``with``."""
    for statement in body:
        if isinstance(statement, ast.If):
            yield from _flattened(statement.orelse)  # the first branch is taken as the usual one: it comes last
            yield from _flattened(statement.body)
        elif isinstance(statement, ast.Try):
            for handler in statement.handlers:
                yield from _flattened(handler.body)
            yield from _flattened([*statement.body, *statement.orelse, *statement.finalbody])
        elif isinstance(statement, ast.With):
            yield from _flattened(statement.body)
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
                    if isinstance(target, ast.Attribute) and _is_self(target.value):
                        found.setdefault(target.attr, []).append(Setting(statement, method))
    for settings in found.values():
        settings.sort(key=lambda setting: not isinstance(setting.statement, ast.AnnAssign))
    return found


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


def _is_name(value: ast.expr, name: str) -> bool:
    return isinstance(value, ast.Name) and value.id == name


def _is_self(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) and value.id == "self"


def _is_overload(statement: ast.stmt) -> bool:
    return isinstance(statement, FUNCTIONS) and any(
        ast.unparse(decorator).endswith(("overload", ".setter", ".deleter")) for decorator in statement.decorator_list
    )


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
