"""The outcome of a condition, followed through attributes, properties and methods without running any of them.

Whatever is not known counts as off: it is false, and equal to nothing but None.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from patchkit.drift.inference import Callable, Inference, Instance, Namespace, Type
from patchkit.drift.module import Module
from patchkit.drift.package import Definition
from patchkit.drift.signature import default_of, spelled, unset_default
from patchkit.drift.syntax import FUNCTIONS, is_property, positional

DEEPEST = 48
"""Expressions and calls that are followed inside one another."""
COMPARED: dict[type[ast.cmpop], Any] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Gt: operator.gt,
    ast.Lt: operator.lt,
    ast.GtE: operator.ge,
    ast.LtE: operator.le,
}
WRAPPED: dict[str, Any] = {
    "bool": bool,
    "frozenset": frozenset,
    "set": frozenset,
    "list": list,
    "tuple": tuple,
    "len": len,
}
UNSET: dict[str, Any] = {"None": None, "'0'": False, "'1'": True, "0": False, "1": True, "False": False, "True": True}
"""What an environment's variable is where it is not set, by the default that it is asked with."""
PLAIN = (bool, int, float, str, list, tuple, frozenset)


class Off:
    """What is not known, or not set."""

    def __bool__(self) -> bool:
        return False


OFF = Off()


@dataclass(frozen=True)
class Thing:
    """An object, class, module or function; only its type is known."""

    kind: Type


@dataclass(eq=False)
class Frame:
    """The context of an expression: its module, the types of its names, and the values of those that have one."""

    definition: Definition
    types: Mapping[str, Type]
    values: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, function: Definition, inference: Inference) -> Frame:
        assert isinstance(function.node, FUNCTIONS)
        return cls(function, inference.parameters(function.node, function.module, function.owner))

    @property
    def module(self) -> Module:
        return self.definition.module

    def place(self, node: ast.AST) -> str:
        return self.module.place(node)


@dataclass
class Evaluator:
    """Evaluates conditions under some facts, and records what decided them.

    Attributes:
        facts: the values of attributes and functions by name, on any object.
        rule: tests and returns that decided, other than constants, with places.
        guessed: what was used and is not known.
    """

    inference: Inference
    facts: Mapping[str, object]
    rule: list[str] = field(default_factory=list)
    guessed: list[str] = field(default_factory=list)
    _under_way: set[str] = field(default_factory=set)

    def test(self, written: ast.expr, frame: Frame) -> bool:
        """Whether a condition holds; records it as a reason."""
        outcome = bool(self.value(written, frame))
        self._record(f"{ast.unparse(written)} is {str(outcome).lower()}", frame, written)
        return outcome

    def _record(self, said: str, frame: Frame, node: ast.AST) -> None:
        line = f"{said} ({frame.place(node)})"
        if line not in self.rule:
            self.rule.append(line)

    def value(self, written: ast.expr | None, frame: Frame, depth: int = 0) -> Any:
        """The value of an expression: plain, a :class:`Thing`, None, or ``OFF``."""
        if written is None or depth > DEEPEST:
            return OFF
        way = getattr(self, f"_{type(written).__name__.lower()}", None)
        found = way(written, frame, depth + 1) if way else OFF
        if found is OFF and isinstance(written, (ast.Attribute, ast.Call)):
            said = f"{ast.unparse(written)} ({frame.place(written)})"
            if said not in self.guessed:
                self.guessed.append(said)
        return found

    # Expressions, each by the name of its node.

    def _constant(self, written: ast.Constant, frame: Frame, depth: int) -> Any:
        return written.value

    def _name(self, written: ast.Name, frame: Frame, depth: int) -> Any:
        if written.id in frame.values:
            return frame.values[written.id]
        if written.id in self.facts:
            return self.facts[written.id]
        if written.id in frame.types:
            return Thing(frame.types[written.id])
        return self._defined(self.inference.universe.top_level(frame.module, written.id), depth)

    def _attribute(self, written: ast.Attribute, frame: Frame, depth: int) -> Any:
        if written.attr in self.facts:
            return self.facts[written.attr]
        return self._member(self.value(written.value, frame, depth), written.attr, depth)

    def _member(self, holder: Any, name: str, depth: int) -> Any:
        if not isinstance(holder, Thing) or not isinstance(holder.kind, (Instance, Namespace)):
            return OFF
        if isinstance(holder.kind, Namespace):
            return self._defined(self.inference.universe.member(holder.kind.definition, name), depth)
        found = self.inference.universe.class_member(holder.kind.of, name)
        if found and isinstance(found.node, FUNCTIONS) and is_property(found.node):
            return self.call(found, [Thing(holder.kind)], depth)
        settings = self._settings(found, name, depth)
        if settings is not None:
            return settings
        kind = self.inference.attribute(holder.kind, name)
        if isinstance(kind, Instance) and not _may_be_none(found):  # a part that every such object has
            return Thing(kind)
        value = self._defined(found, depth)
        return Thing(kind) if value is OFF and kind is not None else value

    def _settings(self, found: Definition | None, name: str, depth: int) -> Any:
        """What a method sets an attribute of ``self`` to; None if none does."""
        if found is None or found.owner is None or not isinstance(found.owner.node, ast.ClassDef):
            return None
        if found.name in self._under_way:
            return None
        self._under_way.add(found.name)
        value = self._set_to(found, name, depth)
        self._under_way.discard(found.name)
        return value

    def _set_to(self, found: Definition, name: str, depth: int) -> Any:
        assert found.owner is not None and isinstance(found.owner.node, ast.ClassDef)
        for statement, method in found.module.set_on_self(found.owner.node).get(name, []):
            frame = Frame.of(Definition(method.name, method, found.module, found.owner), self.inference)
            value = self.value(statement.value, frame, depth + 1)
            if value is not OFF:
                return value
        return None

    def _defined(self, found: Definition | None, depth: int) -> Any:
        """The value of a module's variable, or the default of a class's field; a class, function or module itself."""
        if found is None:
            return OFF
        if isinstance(found.node, (ast.Assign, ast.AnnAssign)):
            unset = unset_default(found)
            if unset in UNSET:
                return UNSET[unset]
            said = default_of(found.node.value)
            written = ast.parse(said, mode="eval").body if said else None
            return self.value(written, Frame(found, {}), depth + 1)
        kind = self.inference.of_definition(found, bound=found.owner is not None)
        return Thing(kind) if kind else OFF

    def _call(self, written: ast.Call, frame: Frame, depth: int) -> Any:
        name = ast.unparse(written.func).rpartition(".")[2]
        arguments = [self.value(one, frame, depth) for one in written.args]
        if name in self.facts:
            return self.facts[name]
        if name == "getattr" and len(arguments) > 1 and isinstance(arguments[1], str):
            fact = self.facts.get(arguments[1], OFF)
            known = self._member(arguments[0], arguments[1], depth) if fact is OFF else fact
            return arguments[2] if known is OFF and len(arguments) > 2 else known
        if name in ("any", "all") and isinstance(arguments[0], list):
            return any(arguments[0]) if name == "any" else all(arguments[0])
        if name in WRAPPED and len(arguments) == 1 and isinstance(arguments[0], PLAIN):
            return WRAPPED[name](arguments[0])
        function = self.value(written.func, frame, depth)
        if isinstance(function, Thing) and isinstance(function.kind, Callable):
            own = isinstance(written.func, ast.Attribute) and function.kind.bound
            holder = [self.value(written.func.value, frame, depth)] if own else []  # type: ignore[attr-defined]
            return self.call(function.kind.definition, [*holder, *arguments], depth)
        return OFF

    def _boolop(self, written: ast.BoolOp, frame: Frame, depth: int) -> Any:
        value: Any = OFF
        for one in written.values:
            value = self.value(one, frame, depth)
            if bool(value) is isinstance(written.op, ast.Or):
                break
        return value

    def _unaryop(self, written: ast.UnaryOp, frame: Frame, depth: int) -> Any:
        value = self.value(written.operand, frame, depth)
        return not value if isinstance(written.op, ast.Not) else OFF

    def _ifexp(self, written: ast.IfExp, frame: Frame, depth: int) -> Any:
        return self.value(written.body if self.value(written.test, frame, depth) else written.orelse, frame, depth)

    def _binop(self, written: ast.BinOp, frame: Frame, depth: int) -> Any:
        left, right = self.value(written.left, frame, depth), self.value(written.right, frame, depth)
        if not isinstance(left, frozenset) or not isinstance(right, frozenset):
            return OFF
        return left - right if isinstance(written.op, ast.Sub) else left | right

    def _list(self, written: ast.List | ast.Tuple | ast.Set, frame: Frame, depth: int) -> list[Any]:
        return [self.value(one, frame, depth) for one in written.elts]

    _tuple = _list

    def _set(self, written: ast.Set, frame: Frame, depth: int) -> Any:
        items = [self.value(one, frame, depth) for one in written.elts]
        return frozenset(item for item in items if isinstance(item, (str, int)))

    def _generatorexp(self, written: ast.GeneratorExp | ast.ListComp, frame: Frame, depth: int) -> Any:
        first = written.generators[0]
        items = self.value(first.iter, frame, depth)
        if (
            len(written.generators) > 1
            or not isinstance(first.target, ast.Name)
            or not isinstance(items, (list, frozenset))
        ):
            return OFF
        frames = [Frame(frame.definition, frame.types, {**frame.values, first.target.id: item}) for item in items]
        return [self.value(written.elt, one, depth) for one in frames]

    _listcomp = _generatorexp

    def _compare(self, written: ast.Compare, frame: Frame, depth: int) -> Any:
        left, right = self.value(written.left, frame, depth), self.value(written.comparators[0], frame, depth)
        kind = type(written.ops[0])
        if kind in (ast.Is, ast.IsNot):
            same = (left is None or left is OFF) if right is None else left is right
            return same is (kind is ast.Is)
        if kind in (ast.In, ast.NotIn):
            inside = isinstance(right, (list, tuple, frozenset)) and isinstance(left, (str, int)) and left in right
            return inside is (kind is ast.In)
        if kind in (ast.Eq, ast.NotEq) and not (isinstance(left, PLAIN) and isinstance(right, PLAIN)):
            return kind is ast.NotEq
        try:
            return COMPARED[kind](left, right)
        except TypeError:
            return False

    # Functions.

    def call(self, function: Definition, arguments: list[Any], depth: int = 0) -> Any:
        """What a function returns: its statements in order, branches by their tests, loops left out."""
        assert isinstance(function.node, FUNCTIONS)
        if function.name in self._under_way:  # it asks for itself
            return OFF
        frame = Frame.of(function, self.inference)
        frame.values.update(
            {name: one for name, one in zip(positional(function.node), arguments, strict=False) if one is not OFF}
        )
        self._under_way.add(function.name)
        outcome = self._run(function.node.body, frame, depth + 1)
        self._under_way.discard(function.name)
        return outcome[0] if outcome else None

    def _run(self, body: list[ast.stmt], frame: Frame, depth: int) -> tuple[Any] | None:
        """The returned value, in a tuple; None if a body runs to its end. What raises is taken for off."""
        for statement in body:
            if isinstance(statement, ast.Return):
                value = self.value(statement.value, frame, depth)
                if statement.value is not None and not isinstance(statement.value, (ast.Constant, ast.Name)):
                    self._record(f"{ast.unparse(statement.value)} is {_said(value)}", frame, statement)
                return (value,)
            if isinstance(statement, ast.Raise):
                return (OFF,)
            if isinstance(statement, ast.If):
                taken = bool(self.value(statement.test, frame, depth))
                outcome = self._run(statement.body if taken else statement.orelse, frame, depth)
                if outcome or "arch" in ast.unparse(statement.test):  # what is said of the model's own name decides too
                    self._record(f"{ast.unparse(statement.test)} is {_said(taken)}", frame, statement)
                if outcome:
                    return outcome
            elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                frame.values[statement.targets[0].id] = self.value(statement.value, frame, depth)
            elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                frame.values[statement.target.id] = self.value(statement.value, frame, depth)
            elif isinstance(statement, ast.Expr):
                self._grow(statement.value, frame)
        return None

    def _grow(self, written: ast.expr, frame: Frame) -> None:
        """``names.append(…)`` and ``names.extend(…)`` of a local list."""
        if isinstance(written, ast.Call) and isinstance(written.func, ast.Attribute):
            held = ast.unparse(written.func.value)
            if written.func.attr == "append" and isinstance(frame.values.get(held), list):
                frame.values[held] = [*frame.values[held], ast.unparse(written.args[0]) if written.args else ""]


def _may_be_none(found: Definition | None) -> bool:
    annotation = found.node.annotation if found and isinstance(found.node, ast.AnnAssign) else None
    return annotation is not None and spelled(annotation).endswith("| None")


def _said(value: Any) -> str:
    return str(bool(value)).lower()
