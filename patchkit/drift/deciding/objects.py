"""What the attributes of objects, classes and modules come to."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from patchkit.drift.deciding import operations
from patchkit.drift.deciding.frames import Frame, Given
from patchkit.drift.deciding.phrases import last, shown
from patchkit.drift.deciding.values import (
    Atom,
    Kind,
    Member,
    Outside,
    Routine,
    Space,
    Table,
    Thing,
    Unset,
    Value,
    constant,
    either,
    one,
)
from patchkit.drift.inference import Instance, is_static
from patchkit.drift.package import FUNCTIONS, Definition, Module

if TYPE_CHECKING:
    from patchkit.drift.deciding.evaluator import Evaluator

FIELDS = {"field", "Field"}
ENUMS = {"Enum", "IntEnum", "StrEnum", "Flag", "IntFlag"}


@dataclass
class Objects:
    """Attributes."""

    ev: Evaluator

    def of_atom(self, holder: Atom, name: str) -> Value | None:
        """``holder.name``; None if it has no such attribute, or that is not known."""
        if isinstance(holder, Thing):
            return self._of_thing(holder, name)
        if isinstance(holder, Kind):
            return self._of_kind(holder, name)
        if isinstance(holder, Space):
            return self.ev.modules.name_in(holder.module, name, holder.module.tree)
        if isinstance(holder, Outside):
            platform = holder.name.rpartition(".")[2] == "current_platform"
            fact = self.ev.circumstances.of_device(name) if platform else None
            return fact or one(Outside(f"{'current_platform' if platform else holder.name}.{name}"))
        if isinstance(holder, Member) and name == "name":
            return constant(holder.name)
        if isinstance(holder, Member):
            found = self.ev.universe.class_member(holder.of.definition, holder.name if name == "value" else name)
            return self.member(found, one(holder)) if found else None
        return None

    def _of_kind(self, holder: Kind, name: str) -> Value | None:
        found = self.ev.universe.class_member(holder.definition, name)
        if found is None:
            return None
        if isinstance(found.node, (ast.Assign, ast.AnnAssign)) and self.is_enum(holder.definition):
            return one(Member(holder, name))
        return self.member(found, None, one(holder))

    def is_enum(self, definition: Definition) -> bool:
        for owner in self.ev.universe.lineage(definition):
            bases = owner.node.bases if isinstance(owner.node, ast.ClassDef) else []
            if any(shown(base).rpartition(".")[2] in ENUMS for base in bases):
                return True
        return False

    def member(
        self, found: Definition, receiver: Value | None, kind: Value | None = None, within: Frame | None = None
    ) -> Value:
        """A member of a class, taken from an object or from the class; ``within``: by code of the object itself."""
        node = found.node
        if isinstance(node, FUNCTIONS):
            decorators = {shown(one).partition("(")[0].rpartition(".")[2] for one in node.decorator_list}
            taken = None if is_static(node) else (kind or receiver) if "classmethod" in decorators else receiver
            routine = Routine(id(node), taken, node, found.module, found.owner)
            if receiver is not None and any(one.endswith("property") for one in decorators):
                return self.ev.calls.invoke(routine, Given(), node, within)
            return one(routine)
        if isinstance(node, ast.ClassDef):
            return one(Kind(found.name, found))
        if isinstance(node, ast.Assign) and not isinstance(node.targets[0], ast.Tuple):
            return self.ev.value(node.value, Frame(found.module))
        if isinstance(node, ast.AnnAssign):
            return self._default(node, found)
        return self.ev.lacking(found.name, node, found.module)

    def _of_thing(self, holder: Thing, name: str) -> Value | None:
        fact = self._fact(holder, name)
        if fact is not None:
            return fact
        found = self.ev.universe.class_member(holder.definition, name)
        if found is None:
            return None
        if isinstance(found.node, FUNCTIONS) and holder.made:
            return self.member(found, one(holder))
        if holder.made:
            return self.ev.lacking(f"{last(holder.name)}.{name}", found.node, found.module)
        return self.ev.remembered(
            (holder.name, name), lambda: self._set_up(holder, name, found), lambda: self._circle(name, found)
        )

    def _fact(self, holder: Thing, name: str) -> Value | None:
        kind = last(holder.name)
        if kind == "ModelConfig":
            return self.ev.circumstances.of_model(name)
        return self.ev.circumstances.of_device(name) if kind == "DeviceConfig" else None

    def _circle(self, name: str, found: Definition) -> Value:
        return self.ev.lacking(f"{name} rests on itself", found.node, found.module)

    def _set_up(self, holder: Thing, name: str, found: Definition) -> Value:
        """An attribute of a usual object: its default, and what its ``__init__`` makes of it."""
        if isinstance(found.node, (*FUNCTIONS, ast.ClassDef)):
            return self.member(found, one(holder))
        assert found.owner is not None
        assert isinstance(found.owner.node, ast.ClassDef)
        on_self = found.module.set_on_self(found.owner.node).get(name, [])
        in_body = all(setting.statement is not found.node for setting in on_self)
        before = self.member(found, one(holder)) if in_body else Value((Unset(),))
        told = len(self.ev.notes)
        for method in ("__init__", "__post_init__"):
            if name in self.ev.relevance.attributes(holder.definition, method).sets:
                before = self._after(method, holder, name, before)
        if in_body:
            del self.ev.notes[told:]  # how a setting gets its default is no rule
        if not in_body and self._set_late(holder, name):
            return either([before, self.ev.lacking(f"self.{name} is set more than once", found.node, found.module)])
        if Unset() in before.options:
            rest = tuple(option for option in before.options if option != Unset())
            lacking = self.ev.lacking(f"{last(holder.name)}.{name}", found.node, found.module, setting=in_body)
            return either([Value(rest, before.why, before.by), lacking], before.why) if rest else lacking
        return before

    def _set_late(self, holder: Thing, name: str) -> bool:
        """Whether a method sets an attribute of its object that is not part of making the object."""
        first = {"__init__", "__post_init__"}
        first = first.union(*(self.ev.relevance.attributes(holder.definition, method).gets for method in first))
        return any(
            setting.method.name not in first
            for owner in self.ev.universe.lineage(holder.definition)
            if isinstance(owner.node, ast.ClassDef)
            for setting in owner.module.set_on_self(owner.node).get(name, [])
        )

    def _after(self, method: str, holder: Thing, name: str, before: Value) -> Value:
        found = self.ev.relevance.method(holder.definition, method)
        assert found is not None and isinstance(found.node, FUNCTIONS)
        routine = Routine(id(found.node), one(holder), found.node, found.module, found.owner)
        fields = {name: before}
        ended = self.ev.calls.follow(routine, Given(more=True), fields, frozenset({name}))
        return either([fields_then.get(name, before) for _, fields_then in ended]) if ended else before

    def _default(self, node: ast.AnnAssign, found: Definition) -> Value:
        """The value of a field that nobody gave one."""
        text = f"{last(found.owner.name) + '.' if found.owner else ''}{last(found.name)}"
        value = node.value
        if isinstance(value, ast.Call) and last(shown(value.func)) in FIELDS:
            named = {keyword.arg: keyword.value for keyword in value.keywords}
            factory = named.get("default_factory")
            if factory is not None:
                return self._manufactured(factory, found.module)
            value = named.get("default", value.args[0] if value.args else None)
        if value is None or (isinstance(value, ast.Constant) and value.value in (None, ...)):
            usual = self.usual(node.annotation, found.module)
            if usual is not None:
                return usual
            if value is None or value.value is ...:
                return self.ev.lacking(text, node, found.module, setting=True)
        return self.ev.value(value, Frame(found.module))

    def _manufactured(self, factory: ast.expr, module: Module) -> Value:
        made = self.ev.value(factory, Frame(module))
        if isinstance(made.only, Kind):
            return one(Thing(made.only.name, made.only.definition))
        if isinstance(made.only, Routine):
            return self.ev.calls.invoke(made.only, Given(), factory)
        if isinstance(made.only, Outside):
            found = operations.built_in(last(made.only.name), ())
            if found is not None:
                return found
            if made.only.name == "builtins.dict":
                return one(Table(id(factory), {}, module))
        return self.ev.lacking(shown(factory), factory, module, setting=True)

    def usual(self, annotation: ast.expr | None, module: Module) -> Value | None:
        """An object of the annotated class; None if it may be something else, as ``X | None`` may."""
        if annotation is None or re.search(r"\b(None|Optional|Any|Union)\b", shown(annotation)):
            return None
        kind = self.ev.inference.annotation(annotation, module)
        if not isinstance(kind, Instance) or self.is_enum(kind.of):
            return None
        return one(Thing(kind.of.name, kind.of))
