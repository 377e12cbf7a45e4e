"""What the names of modules come to."""

from __future__ import annotations

import ast
import builtins
from dataclasses import dataclass
from typing import TYPE_CHECKING

from patchkit.drift.deciding.frames import Frame, Given
from patchkit.drift.deciding.names import imported_from
from patchkit.drift.deciding.phrases import last
from patchkit.drift.deciding.values import (
    Atom,
    Outside,
    Reason,
    Routine,
    Space,
    Table,
    Value,
    constant,
    keys_of,
    one,
    unknown,
)
from patchkit.drift.package import FUNCTIONS, Function, Module

if TYPE_CHECKING:
    from patchkit.drift.deciding.evaluator import Evaluator


@dataclass
class Modules:
    """Names of modules."""

    ev: Evaluator

    def name_in(self, module: Module, name: str, where: ast.AST, inside: bool = False) -> Value:
        """What a module binds to a name, as code in it sees it (``inside``), or others."""
        fact = self.ev.circumstances.of_name(name)
        if fact is not None:
            return fact
        if name == "current_platform":
            return one(Outside(name))
        return self.ev.remembered(
            (module.name, f"{'inside' if inside else 'outside'}:{name}"),
            lambda: self._bound_in(module, name, where, inside),
            lambda: self.ev.lacking(f"{name} rests on itself", where, module),
        )

    def _bound_in(self, module: Module, name: str, where: ast.AST, inside: bool) -> Value:
        with self.ev.deeper() as going:
            if not going:
                return unknown(Reason("too much to follow", self.ev.place(where, module)))
            bound = self.ev.bindings.of(module)
            statement = bound.single.get(name)
            if statement is not None:
                return self._unless_changed(self._by_statement(statement, name, module), module, name, where)
            if name in bound.changed:
                return self.ev.lacking(f"{name} changes while it runs", where, module)
            if name in bound.several:
                found = self._by_module(module, name)
                if found is not None:
                    return self._unless_changed(found, module, name, where)
            return self._elsewhere(module, name, where, inside)

    def _unless_changed(self, found: Value, module: Module, name: str, where: ast.AST) -> Value:
        """A list, set or dict of a module, unless functions of the module add to it."""
        changeable = keys_of(found) or isinstance(found.only, Table)
        if changeable and name in self.ev.bindings.changed_in_place(module):
            return self.ev.lacking(f"{name} changes while it runs", where, module)
        return found

    def _by_statement(self, statement: ast.AST, name: str, module: Module) -> Value:
        frame = Frame(module, matter=frozenset({id(statement)}))
        self.ev.paths.statement(statement, frame)
        return frame.names.get(name) or self.ev.lacking(name, statement, module)

    def _by_module(self, module: Module, name: str) -> Value | None:
        """Follow the body of a module as far as it matters for a name; None if no way through it binds the name."""
        matter = self.ev.relevance.matter(module.tree, None, None, frozenset({name}))
        frame = Frame(module, matter=matter)
        self.ev.paths.block(module.tree.body, frame)
        return frame.names.get(name)

    def _elsewhere(self, module: Module, name: str, where: ast.AST, inside: bool) -> Value:
        """A name that a module has by ``import *``, as a submodule, through ``__getattr__``, or that Python has."""
        for star in module.stars:
            behind = self.ev.universe.module(star)
            if behind and self.ev.universe.top_level(behind, name):
                return self.name_in(behind, name, where)
        inner = self.ev.universe.module(f"{module.name}.{name}") if module.path.endswith("__init__.py") else None
        if inner:
            return one(Space(inner.name, inner))
        getter = module.bindings.get("__getattr__")
        if isinstance(getter, FUNCTIONS) and not inside:
            return self._by_getter(getter, module, name)
        if hasattr(builtins, name) and inside:
            return one(Outside(f"builtins.{name}"))
        return self.ev.lacking(name, where, module)

    def _by_getter(self, getter: Function, module: Module, name: str) -> Value:
        """A name that a module works out when asked, as ``envs`` does; else what is written for the type checker."""
        routine = Routine(id(getter), None, getter, module)
        told = len(self.ev.notes)
        found = self.ev.calls.invoke(routine, Given((constant(name),)), getter)
        del self.ev.notes[told:]  # how a variable is read from the environment is no rule
        said_default = module.bindings.get(name)
        if found.only is None and isinstance(said_default, ast.AnnAssign) and said_default.value:
            return self.ev.value(said_default.value, Frame(module))
        return found if found.only else self.ev.lacking(f"{last(module.name)}.{name}", getter, module, setting=True)

    def imports(self, statement: ast.Import | ast.ImportFrom, frame: Frame) -> None:
        for alias in statement.names:
            if alias.name == "*":
                continue
            if isinstance(statement, ast.ImportFrom):
                origin = imported_from(statement, frame.module)
                frame.names[alias.asname or alias.name] = self._imported(origin, alias.name, statement)
            else:
                name = alias.name if alias.asname else alias.name.partition(".")[0]
                module = self.ev.universe.module(name)
                found: Atom = Space(name, module) if module else Outside(name)
                frame.names[alias.asname or name] = one(found)

    def _imported(self, origin: str, name: str, where: ast.AST) -> Value:
        fact = self.ev.circumstances.of_name(name)
        if fact is not None or name == "current_platform":
            return fact or one(Outside(name))
        module = self.ev.universe.module(origin)
        if module is None:
            inner = self.ev.universe.module(f"{origin}.{name}")
            return one(Space(inner.name, inner)) if inner else one(Outside(f"{origin}.{name}"))
        inner = None
        if name not in module.bindings and module.path.endswith("__init__.py"):
            inner = self.ev.universe.module(f"{origin}.{name}")
        return one(Space(inner.name, inner)) if inner else self.name_in(module, name, module.tree)
