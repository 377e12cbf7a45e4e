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

from patchkit.drift.module import Module, own_member, parse_module
from patchkit.drift.source import Source
from patchkit.drift.syntax import is_name
from patchkit.errors import PatchkitError

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
        if isinstance(node, ast.Assign) and name in module.earlier and is_name(node.value, name):
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
