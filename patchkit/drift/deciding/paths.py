"""Where the statements of a function lead."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from patchkit.drift.deciding import operations
from patchkit.drift.deciding.facts import DULL
from patchkit.drift.deciding.frames import Exit, Frame
from patchkit.drift.deciding.names import imported_from
from patchkit.drift.deciding.phrases import shown
from patchkit.drift.deciding.relevance import blocks
from patchkit.drift.deciding.values import (
    NONE,
    Items,
    Kind,
    Reason,
    Routine,
    Unknown,
    Value,
    decided,
    keys_of,
    one,
    unclear,
    unknown,
)
from patchkit.drift.package import FUNCTIONS, Definition

if TYPE_CHECKING:
    from patchkit.drift.deciding.evaluator import Evaluator

MOST_TURNS = 64
"""Turns of a loop, and items of a comprehension, that are gone through one by one."""


@dataclass
class Paths:
    """Statements; each says whether the code goes on after it."""

    ev: Evaluator

    def block(self, statements: Sequence[ast.stmt], frame: Frame) -> bool:
        for statement in statements:
            if isinstance(statement, ast.Raise):
                return False
            if id(statement) in frame.matter and not self.statement(statement, frame):
                return False
        return True

    def statement(self, node: ast.AST, frame: Frame) -> bool:
        if isinstance(node, ast.Return):
            value = self.ev.value(node.value, frame, telling=_is_condition(node.value)) if node.value else NONE
            value = Value(value.options, value.why, value.by | frame.because)
            frame.exits.append(Exit("return", value, frame.names, frame.fields))
            return False
        if isinstance(node, (ast.Break, ast.Continue)):
            frame.exits.append(Exit(type(node).__name__, NONE, frame.names, frame.fields))
            return False
        if isinstance(node, ast.If):
            return self._if(node, frame)
        if isinstance(node, (ast.For, ast.AsyncFor)):
            return self._for(node, frame)
        if isinstance(node, ast.While):
            return self._repeated([], node, self.ev.value(node.test, frame), frame)
        if isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                if item.optional_vars is not None:
                    self.assign(item.optional_vars, self.ev.lacking(shown(node), node, frame.module), frame)
            if any("suppress" in shown(item.context_expr) for item in node.items):
                why = frozenset({Reason("whether there is an exception", self.ev.place(node, frame.module))})
                ways = [partial(self.block, node.body, frame), partial(self._after_part, node.body, [], frame, why)]
                return frame.fork(ways, why)
            return self.block(node.body, frame)
        if isinstance(node, ast.Try):
            return self._try(node, frame)
        if isinstance(node, ast.Match):
            return self._match(node, frame)
        if blocks(node):  # a kind of statement that this Python knows and we do not
            why = frozenset({Reason(shown(node), self.ev.place(node, frame.module))})
            return self._fork([*blocks(node), []], frame, why)
        self._simple(node, frame)
        return True

    def _simple(self, node: ast.AST, frame: Frame) -> None:
        if isinstance(node, ast.Assign):
            value = self.ev.value(node.value, frame, telling=_is_condition(node.value))
            for target in node.targets:
                self.assign(target, value, frame)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self.assign(node.target, self.ev.value(node.value, frame, telling=_is_condition(node.value)), frame)
        elif isinstance(node, ast.AugAssign):
            self._augment(node, frame)
        elif isinstance(node, ast.Expr):
            self.ev.value(node.value, frame)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            self.ev.modules.imports(node, frame)
        elif isinstance(node, FUNCTIONS):
            frame.look_inside(node)
            frame.names[node.name] = one(Routine(id(node), None, node, frame.module, None, self.around(frame)))
        elif isinstance(node, ast.ClassDef):
            definition = Definition(f"{frame.module.name}.{node.name}", node, frame.module)
            frame.names[node.name] = one(Kind(definition.name, definition))
        else:
            self.forget(node, frame, shown(node))

    def _augment(self, node: ast.AugAssign, frame: Frame) -> None:
        """``target += value``, which changes a list in place."""
        before = self.ev.value(_loaded(node.target), frame)
        value = self.ev.value(node.value, frame)
        keys = keys_of(Value(tuple(option for option in before.options if isinstance(option, Items))))
        frame.spoil(keys, Reason(shown(node), self.ev.place(node, frame.module)))
        if keys and isinstance(before.only, Items) and isinstance(node.op, (ast.Add, ast.BitOr)):
            after = one(operations.mutated(before.only, "extend", [value]), before, value)
        else:
            after = unclear(before, value) if keys else operations.combine(node.op, before, value)
        if isinstance(after.only, Items) or not keys:
            self.assign(node.target, after, frame)
        else:
            self.assign(node.target, self.ev.lacking(shown(node), node, frame.module), frame)

    @staticmethod
    def around(frame: Frame) -> dict[str, Value]:
        """The variables that a function inside another sees, those apart that may be another thing when it runs."""
        lost = unknown(Reason("a variable of the function around it", frame.module.path))
        unsure = frame.twice | frame.wild
        inside = {name: lost if name in unsure or keys_of(value) else value for name, value in frame.names.items()}
        return {**frame.around, **inside}

    def assign(self, target: ast.expr, value: Value, frame: Frame) -> None:
        if isinstance(target, ast.Name):
            frame.names[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._unpack(target, value, frame)
        elif isinstance(target, ast.Attribute) and self.ev.is_itself(target.value, frame):
            frame.fields[target.attr] = value
        else:  # a list that something else holds may be changed through that
            frame.spoil(keys_of(value), Reason(shown(target), self.ev.place(target, frame.module)))
            self.forget(target, frame, shown(target))

    def _unpack(self, target: ast.Tuple | ast.List, value: Value, frame: Frame) -> None:
        parts = value.only.items if isinstance(value.only, Items) and value.only.kind != "set" else ()
        whole = len(parts) == len(target.elts) and not any(isinstance(one, ast.Starred) for one in target.elts)
        if not whole:
            frame.spoil(keys_of(value), Reason(shown(target), self.ev.place(target, frame.module)))
        for at, part in enumerate(target.elts):
            inner = parts[at] if whole else self.ev.lacking(shown(part), part, frame.module)
            self.assign(part.value if isinstance(part, ast.Starred) else part, inner, frame)

    def _if(self, node: ast.If, frame: Frame) -> bool:
        told = len(self.ev.notes)
        test = self.ev.test(node.test, frame)
        answer = decided(test)
        frame.because |= test.by
        if answer is False and not node.orelse and not frame.leading and test.by <= DULL:
            del self.ev.notes[told:]  # it was passed by for what every usual model is
        if answer is not None:
            return self.block(node.body if answer else node.orelse, frame)
        return self._fork([node.body, node.orelse], frame, test.why)

    def _fork(self, ways: Sequence[Sequence[ast.stmt]], frame: Frame, why: frozenset[Reason]) -> bool:
        return frame.fork([partial(self.block, way, frame) for way in ways], why)

    def _for(self, node: ast.For | ast.AsyncFor, frame: Frame) -> bool:
        over = self.ev.value(node.iter, frame)
        if not isinstance(over.only, Items) or len(over.only.items) > MOST_TURNS or over.only.kind == "set":
            return self._repeated([node.target], node, over, frame)
        first_exit = len(frame.exits)
        going = True
        for item in over.only.items:
            self.assign(node.target, item, frame)
            at = len(frame.exits)
            going = self.block(node.body, frame)
            going = self._meet(self._early("Continue", at, frame), going, frame)
            if not going:
                break
        early = self._early("Break", first_exit, frame)
        return self._meet(early, going and self.block(node.orelse, frame), frame)

    @staticmethod
    def _early(how: str, since: int, frame: Frame) -> list[Exit]:
        """The ways that left a turn of a loop, or the loop, early; those of its ``else`` are the outer loop's."""
        early = [end for end in frame.exits[since:] if end.how == how]
        frame.exits[since:] = [end for end in frame.exits[since:] if end.how != how]
        return early

    @staticmethod
    def _meet(early: Sequence[Exit], going: bool, frame: Frame) -> bool:
        """Go on with the ways that left early, and with the one that did not."""
        states = [(end.names, end.fields) for end in early] + ([(frame.names, frame.fields)] if going else [])
        if states:
            frame.meet(states, frozenset[Reason]().union(*(end.value.why for end in early)))
        return bool(states)

    def _repeated(
        self, bound: list[ast.expr], node: ast.For | ast.AsyncFor | ast.While, over: Value, frame: Frame
    ) -> bool:
        """A loop of which it is not known how often it turns: after it, nothing that it changes is known."""
        if isinstance(node, ast.While) and decided(over) is False:
            return self.block(node.orelse, frame)
        why = over.why or frozenset({Reason(f"how often {shown(node)}", self.ev.place(node, frame.module))})
        for part in [*bound, *node.body]:
            self.forget(part, frame, shown(node), why)
        first_exit = len(frame.exits)
        self._fork([node.body, []], frame, why)
        self._meet(self._early("Continue", first_exit, frame), True, frame)
        early = self._early("Break", first_exit, frame)
        for part in [*bound, *node.body]:
            self.forget(part, frame, shown(node), why)
        return self._meet(early, self.block(node.orelse, frame), frame)

    def forget(
        self, node: ast.AST, frame: Frame, text: str, why: frozenset[Reason] = frozenset(), lists: bool = False
    ) -> None:
        """Nothing that a piece of code may change is known after it; ``lists``: nor is any list that it names."""
        lost = Value((Unknown(),), why or frozenset({Reason(text, self.ev.place(node, frame.module))}))
        parts = list(ast.walk(node))
        for part in parts:
            if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load):
                frame.names[part.id] = lost
            elif isinstance(part, (ast.Attribute, ast.Subscript)) and not isinstance(part.ctx, ast.Load):
                self._forget_base(part, frame, lost)
        if lists or any(isinstance(part, (ast.Call, ast.AugAssign, ast.Delete)) or _is_set(part) for part in parts):
            names = [part.id for part in parts if isinstance(part, ast.Name)]
            held = [frame.names[name] for name in names if name in frame.names]
            held += [
                frame.fields[part.attr]
                for part in parts
                if isinstance(part, ast.Attribute) and part.attr in frame.fields
            ]
            frame.spoil(set[int]().union(*(keys_of(value) for value in held)), next(iter(lost.why)))

    def _forget_base(self, part: ast.expr, frame: Frame, lost: Value) -> None:
        while isinstance(part, (ast.Attribute, ast.Subscript)):
            if isinstance(part, ast.Attribute) and self.ev.is_itself(part.value, frame):
                frame.fields[part.attr] = lost
                return
            part = part.value
        if isinstance(part, ast.Name) and part.id in frame.names and part.id != frame.itself:
            frame.names[part.id] = lost

    def _try(self, node: ast.Try, frame: Frame) -> bool:
        if not node.handlers:
            return self.block([*node.body, *node.finalbody], frame)
        if all(isinstance(one, (ast.Import, ast.ImportFrom, ast.Pass)) for one in node.body) and self._has(node, frame):
            return self.block([*node.body, *node.orelse, *node.finalbody], frame)
        why = frozenset({Reason("whether there is an exception", self.ev.place(node, frame.module))})
        ways = [partial(self.block, [*node.body, *node.orelse], frame)]
        ways += [partial(self._after_part, node.body, handler.body, frame, why) for handler in node.handlers]
        return frame.fork(ways, why) and self.block(node.finalbody, frame)

    def _after_part(
        self, part: Sequence[ast.stmt], then: Sequence[ast.stmt], frame: Frame, why: frozenset[Reason]
    ) -> bool:
        """Go on with ``then`` after some statements of which it is not known how many were run."""
        for statement in part:
            self.forget(statement, frame, shown(statement), why)
        return self.block(then, frame)

    def _has(self, node: ast.Try, frame: Frame) -> bool:
        """Whether everything that is imported is there."""
        origins = [imported_from(one, frame.module) for one in node.body if isinstance(one, ast.ImportFrom)]
        origins += [alias.name for one in node.body if isinstance(one, ast.Import) for alias in one.names]
        return all(self.ev.universe.module(origin) for origin in origins)

    def _match(self, node: ast.Match, frame: Frame) -> bool:
        why = frozenset({Reason(shown(node.subject), self.ev.place(node, frame.module))})
        for case in node.cases:
            self.forget(case.pattern, frame, shown(node.subject))
            for part in ast.walk(case.pattern):
                if isinstance(part, (ast.MatchAs, ast.MatchStar)) and part.name:
                    frame.names[part.name] = Value((Unknown(),), why)
        return self._fork([*(case.body for case in node.cases), []], frame, why)


def _is_condition(node: ast.expr | None) -> bool:
    """Whether an expression is a test by its looks."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in ("any", "all", "bool")
    return isinstance(node, (ast.BoolOp, ast.Compare)) or (
        isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    )


def _loaded(target: ast.expr) -> ast.expr:
    """The same expression, read instead of set."""
    if isinstance(target, ast.Name):
        return ast.copy_location(ast.Name(target.id, ast.Load()), target)
    if isinstance(target, ast.Attribute):
        return ast.copy_location(ast.Attribute(target.value, target.attr, ast.Load()), target)
    return target


def _is_set(part: ast.AST) -> bool:
    return isinstance(part, (ast.Attribute, ast.Subscript)) and not isinstance(part.ctx, ast.Load)
