"""What an expression comes to: names, attributes, calls, and the bodies behind them, followed through the sources.

Nothing is run. Every answer may be "not known", with the reason; work is bounded, and what lies beyond is not known.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from patchkit.drift.deciding import operations
from patchkit.drift.deciding.calls import Calls
from patchkit.drift.deciding.facts import Circumstances
from patchkit.drift.deciding.frames import Frame
from patchkit.drift.deciding.modules import Modules
from patchkit.drift.deciding.names import Bindings
from patchkit.drift.deciding.objects import Objects
from patchkit.drift.deciding.paths import MOST_TURNS, Paths
from patchkit.drift.deciding.phrases import said, shown
from patchkit.drift.deciding.relevance import Relevance, changes, is_super
from patchkit.drift.deciding.values import (
    FALSE,
    NONE,
    TRUE,
    Items,
    Reason,
    Routine,
    Table,
    Unknown,
    Unset,
    Value,
    constant,
    decided,
    either,
    one,
    opposite,
    that_are,
    truth,
    unclear,
    unknown,
)
from patchkit.drift.inference import Inference
from patchkit.drift.package import Module, Universe

MOST_STEPS = 20_000
"""Expressions that are worked out before everything else counts as not known."""
DEEPEST = 70
"""Expressions and calls that are worked out inside one another."""


@dataclass
class Evaluator:
    """Works out values under circumstances.

    Attributes:
        assumed: settings that are not known and count as off.
        undecided: take both ways at every condition, whatever it is.
        notes: the conditions that were met and rest on the circumstances, in order.
    """

    universe: Universe
    inference: Inference
    relevance: Relevance
    bindings: Bindings
    circumstances: Circumstances
    assumed: frozenset[Reason] = frozenset()
    undecided: bool = False
    notes: list[str] = field(default_factory=list)
    _steps: int = 0
    _depth: int = 0
    _known: dict[tuple[str, str], tuple[Value, tuple[str, ...]]] = field(default_factory=dict)
    _busy: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.objects, self.modules, self.calls, self.paths = Objects(self), Modules(self), Calls(self), Paths(self)

    # Reasons.

    def place(self, node: ast.AST, module: Module) -> str:
        """``config/vllm.py:42``, below the package's own folder."""
        return f"{module.path.partition('/')[2]}:{getattr(node, 'lineno', 1)}"

    def lacking(self, text: str, node: ast.AST, module: Module, setting: bool = False) -> Value:
        """Something that cannot be found out; a setting that is assumed to be off is None."""
        reason = Reason(text, self.place(node, module), setting)
        return NONE if reason in self.assumed else unknown(reason)

    @contextmanager
    def deeper(self) -> Iterator[bool]:
        """One level further down; False if that is too deep, or took too long."""
        self._depth += 1
        self._steps += 1
        try:
            yield self._depth <= DEEPEST and self._steps <= MOST_STEPS
        finally:
            self._depth -= 1

    def remembered(self, key: tuple[str, str], work: Callable[[], Value], circle: Callable[[], Value]) -> Value:
        """Work something out once, and tell its conditions each time."""
        if key in self._known:
            value, notes = self._known[key]
            self.notes += notes
            return value
        if key in self._busy:
            return circle()
        self._busy.add(key)
        start = len(self.notes)
        try:
            value = work()
        finally:
            self._busy.discard(key)
        self._known[key] = value, tuple(self.notes[start:])
        return value

    # Expressions.

    def value(self, node: ast.expr, frame: Frame, telling: bool = False) -> Value:
        """What an expression comes to; ``telling``: note it, and what it consists of, as conditions."""
        with self.deeper() as going:
            if not going:
                return unknown(Reason("too much to follow", self.place(node, frame.module)))
            if isinstance(node, ast.BoolOp):
                return self._boolean(node, frame, telling)
            if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
                return opposite(self.value(node.operand, frame, telling))
            if not telling:
                return self._plain(node, frame)
            at = len(self.notes)
            found = self._plain(node, frame)
            self._tell(at, node, found, frame)
            return found

    def _tell(self, at: int, node: ast.expr, found: Value, frame: Frame) -> None:
        answer = decided(found)
        if answer is not None and (found.by or frame.leading) and not isinstance(node, ast.Constant):
            because = f": {', '.join(sorted(found.by))}" if 0 < len(found.by) <= 2 else ""
            self.notes.insert(at, f"{said(node, answer)} ({self.place(node, frame.module)}){because}")

    def test(self, node: ast.expr, frame: Frame) -> Value:
        """Whether a condition holds: True, False, or either."""
        if self.undecided:
            return Value((*TRUE.options, *FALSE.options))
        return truth(self.value(node, frame, telling=True))

    def _boolean(self, node: ast.BoolOp, frame: Frame, telling: bool) -> Value:
        """``and`` and ``or``: the first that decides, also after some that are not known."""
        ends = isinstance(node.op, ast.Or)
        parts: list[Value] = []
        why: frozenset[Reason] | None = None
        start = len(self.notes)
        for operand in node.values:
            at = len(self.notes)
            work = partial(self.value, operand, frame, telling)
            found = work() if why is None else frame.perhaps(work, why)
            answer = None if self.undecided else decided(found)
            if answer is ends:
                del self.notes[start:at]
                return either([*parts, found])
            if answer is None:
                why = found.why | (why or frozenset())
            parts.append(that_are(found, ends) if operand is not node.values[-1] else found)
        result = either([part for part in parts if part.options])
        return Value(result.options, result.why, result.by.union(*(part.by for part in parts)))

    def _plain(self, node: ast.expr, frame: Frame) -> Value:
        if isinstance(node, ast.Constant):
            return constant(node.value)
        if isinstance(node, ast.Name):
            return self._name(node, frame)
        if isinstance(node, ast.Attribute):
            return self._attribute(node, frame)
        if isinstance(node, ast.Call):
            return self.calls.call(node, frame)
        if isinstance(node, ast.Compare):
            return self._compare(node, frame)
        if isinstance(node, ast.IfExp):
            return self._conditional(node, frame)
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            return self._display(node, frame)
        if isinstance(node, ast.Dict):
            return self._dict(node, frame)
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
            return self._comprehension(node, frame)
        if isinstance(node, ast.Lambda):
            frame.look_inside(node)
            return one(Routine(id(node), None, node, frame.module, None, self.paths.around(frame)))
        if isinstance(node, ast.BinOp):
            return operations.combine(node.op, self.value(node.left, frame), self.value(node.right, frame))
        if isinstance(node, ast.Subscript):
            return self._subscript(node, frame)
        if isinstance(node, ast.NamedExpr):
            found = self.value(node.value, frame)
            frame.names[node.target.id] = found
            return found
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return operations.combine(ast.Sub(), constant(0), self.value(node.operand, frame))
        if isinstance(node, ast.JoinedStr):
            return Value((Unknown(True if any(isinstance(part, ast.Constant) for part in node.values) else None),))
        self.paths.forget(node, frame, shown(node), lists=True)
        return self.lacking(shown(node), node, frame.module)

    def _name(self, node: ast.Name, frame: Frame) -> Value:
        if frame.is_lost(node.id):
            return self.lacking(node.id, node, frame.module)
        if node.id in frame.names:
            return frame.names[node.id]
        if node.id in frame.around:
            return frame.around[node.id]
        if node.id in frame.local:
            return self.lacking(node.id, node, frame.module)
        return self.modules.name_in(frame.module, node.id, node, inside=True)

    def _compare(self, node: ast.Compare, frame: Frame) -> Value:
        left = self.value(node.left, frame)
        answers = []
        for operation, operand in zip(node.ops, node.comparators, strict=True):
            right = self.value(operand, frame)
            answer = operations.compare(operation, left, right)
            if answer.only is None and not answer.why:
                answer = Value(
                    answer.options, frozenset({Reason(shown(node), self.place(node, frame.module))}), answer.by
                )
            answers.append(answer)
            left = right
        return operations.every(answers) if len(answers) > 1 else answers[0]

    def _conditional(self, node: ast.IfExp, frame: Frame) -> Value:
        test = self.test(node.test, frame)
        answer = decided(test)
        if answer is not None:
            found = self.value(node.body if answer else node.orelse, frame)
            return Value(found.options, found.why, found.by | test.by)
        first = frame.perhaps(lambda: self.value(node.body, frame), test.why)
        return either([first, frame.perhaps(lambda: self.value(node.orelse, frame), test.why)], test.why)

    def _display(self, node: ast.List | ast.Tuple | ast.Set, frame: Frame) -> Value:
        items: list[Value] = []
        for part in node.elts:
            if not isinstance(part, ast.Starred):
                items.append(self.value(part, frame))
                continue
            inner = self.value(part.value, frame)
            if not isinstance(inner.only, Items):
                return unclear(inner)
            items += inner.only.items
        kinds = {ast.List: "list", ast.Tuple: "tuple", ast.Set: "set"}
        return one(Items(tuple(items), kinds[type(node)]))  # type: ignore[arg-type]

    def _dict(self, node: ast.Dict, frame: Frame) -> Value:
        rows: dict[str, ast.expr] = {}
        for key, row in zip(node.keys, node.values, strict=True):
            if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                self.paths.forget(node, frame, shown(node), lists=True)
                return self.lacking(shown(node), node, frame.module)
            rows[key.value] = row
        if frame.owner is None and not frame.receiver and not frame.local:
            return one(Table(id(node), rows, frame.module))
        if not rows:
            return one(Table(id(node), rows, frame.module))
        self.paths.forget(node, frame, shown(node), lists=True)
        return self.lacking(shown(node), node, frame.module)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp, frame: Frame) -> Value:
        loop = node.generators[0]
        over = self.value(loop.iter, frame)
        simple = len(node.generators) == 1 and not loop.is_async and not changes(node)
        if not simple or not isinstance(over.only, Items) or len(over.only.items) > MOST_TURNS:
            self.paths.forget(node, frame, shown(node), lists=True)
            return unclear(over) if over.why else self.lacking(shown(loop.iter), node, frame.module)
        before, items = dict(frame.names), list[Value]()
        try:
            for item in over.only.items:
                self.paths.assign(loop.target, Value(item.options, item.why, item.by | over.by), frame)
                kept = [decided(self.value(test, frame)) for test in loop.ifs]
                if None in kept:
                    return self.lacking(shown(node), node, frame.module)
                if all(kept):
                    items.append(self.value(node.elt, frame))
        finally:
            frame.names = before
        unordered = over.only.kind == "set" or isinstance(node, ast.SetComp)
        return one(Items(tuple(items), "set" if unordered else "list"), over)

    def _subscript(self, node: ast.Subscript, frame: Frame) -> Value:
        holder, key = self.value(node.value, frame), self.value(node.slice, frame).constant
        if isinstance(holder.only, Table) and isinstance(key, str) and key in holder.only.rows:
            return self.value(holder.only.rows[key], Frame(holder.only.module))
        items = holder.only.items if isinstance(holder.only, Items) and holder.only.kind != "set" else ()
        if isinstance(key, int) and -len(items) <= key < len(items):
            return items[key]
        self.paths.forget(node, frame, shown(node), lists=True)
        return self.lacking(shown(node), node, frame.module)

    # Attributes.

    def _attribute(self, node: ast.Attribute, frame: Frame) -> Value:
        if self.is_itself(node.value, frame):
            found_on_way = self.on_the_way(frame, node.attr, node)
            if found_on_way is not None:
                return found_on_way
        if is_super(node.value) and frame.owner and frame.receiver and frame.thing:
            found = self.relevance.method(frame.thing.definition, node.attr, frame.owner)
            return self.objects.member(found, frame.receiver) if found else self._no_attribute(node, frame)
        holder = self.value(node.value, frame)
        found_values = [self.objects.of_atom(option, node.attr) for option in holder.options]
        given = [one if one is not None else self._no_attribute(node, frame, holder) for one in found_values]
        found_value = either(given, holder.why) if given else self._no_attribute(node, frame)
        return Value(found_value.options, found_value.why, found_value.by | holder.by)

    def _no_attribute(self, node: ast.expr, frame: Frame, holder: Value | None = None) -> Value:
        """An attribute of something that is not known, or that does not seem to have it."""
        if holder is not None and holder.only is None and holder.why:
            return unclear(holder)
        return self.lacking(shown(node), node, frame.module)

    def on_the_way(self, frame: Frame, name: str, node: ast.expr) -> Value | None:
        """An attribute of the object that was set on the way, perhaps not on every way, or a property of one."""
        thing = frame.thing
        if thing is None:
            return None
        if name not in frame.fields:
            if not self.relevance.attributes(thing.definition, name).gets & frame.fields.keys():
                return None
            found = self.universe.class_member(thing.definition, name)
            return self.objects.member(found, frame.receiver, within=frame) if found else None
        known = frame.fields[name]
        if Unset() not in known.options:
            return known
        rest = Value(tuple(option for option in known.options if option != Unset()), known.why, known.by)
        before = self.objects.of_atom(thing, name) or self._no_attribute(node, frame)
        return either([before, *([rest] if rest.options else [])], known.why)

    def is_itself(self, node: ast.expr, frame: Frame) -> bool:
        """Whether an expression is the variable of the object that a method belongs to."""
        known = frame.names.get(node.id) if isinstance(node, ast.Name) else None
        return bool(frame.itself) and known is not None and known == frame.receiver
