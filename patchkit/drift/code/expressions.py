"""Expressions: what they are, and what they touch."""

from __future__ import annotations

import ast
from abc import abstractmethod
from dataclasses import dataclass, field

from patchkit.drift.code.body import Body, Extra, Scope, dotted
from patchkit.drift.code.calls import Calls, is_super
from patchkit.drift.code.known import is_dict
from patchkit.drift.code.notes import definition_of
from patchkit.drift.code.replacements import as_function
from patchkit.drift.inference import (
    Callable,
    Class,
    Foreign,
    Instance,
    Items,
    Namespace,
    Table,
    Text,
    TupleType,
    Type,
    first,
)
from patchkit.drift.package import Definition

MOST_ROWS = 256
"""Rows of a table that a loop is read with one by one."""


@dataclass
class Expressions(Calls):
    """Types of expressions.

    Attributes:
        around: what the modules of the runtime bind at their top level, as the round before left it.
    """

    around: dict[str, Scope] = field(default_factory=dict)

    @abstractmethod
    def assign(self, target: ast.expr, kind: Type | None, body: Body, value: ast.expr | None = None) -> None:
        """Set a name, an attribute or several of them to something of this type."""

    def value(self, written: ast.expr, body: Body) -> Type | None:
        """The type of an expression; notes what it touches."""
        if isinstance(written, ast.Constant):
            return Text(written.value) if isinstance(written.value, str) else None
        if isinstance(written, ast.Name):
            return self._name(written, body)
        if isinstance(written, ast.Call):
            self.either |= _either(written)
            return self.call(written, body)
        if isinstance(written, ast.Attribute):
            return self._attribute(written, body)
        if isinstance(written, ast.Subscript):
            kind = self.value(written.value, body)
            return self._subscript(kind, self.value(written.slice, body), written, body)
        if isinstance(written, ast.Lambda):
            return self._lambda(written, body)
        if isinstance(written, (ast.GeneratorExp, ast.ListComp, ast.SetComp, ast.DictComp)):
            return self._comprehension(written, body)
        if isinstance(written, (ast.Tuple, ast.List, ast.Set)):
            return self._row(written, body)
        if isinstance(written, ast.Dict):
            keys = tuple(self.value(one, body) if one else None for one in written.keys)
            return Table(keys, tuple(self.value(one, body) for one in written.values))
        if isinstance(written, ast.NamedExpr):
            kind = self.value(written.value, body)
            self.assign(written.target, kind, body)
            return kind
        kinds = [self.value(child, body) for child in ast.iter_child_nodes(written) if isinstance(child, ast.expr)]
        if isinstance(written, ast.IfExp):
            return self.likeliest(kinds[1:])
        if isinstance(written, ast.BoolOp):
            return self.likeliest(kinds)
        if isinstance(written, ast.Await):
            return kinds[0]
        if isinstance(written, ast.FormattedValue):
            return kinds[0]
        if isinstance(written, (ast.JoinedStr, ast.BinOp)):
            return _joined(written, kinds)
        return None

    def _name(self, written: ast.Name, body: Body) -> Type | None:
        name, module = written.id, body.module
        if name in body.scope:
            return body.scope[name]
        own = module.bindings.get(name)
        if isinstance(own, ast.alias):
            origin, original = module.origins[name]
            known = self.around.get(origin, {}).get(original)
        else:
            known = self.around.get(module.name, {}).get(name)
        return known or self.inference.expression(written, module, {})

    def _attribute(self, written: ast.Attribute, body: Body) -> Type | None:
        if isinstance(written.value, ast.Name):
            name = f"{written.value.id}.{written.attr}"
            if name in body.scope:
                return body.scope[name]
        if is_super(written.value):
            return self.of_super(written.attr, body)
        holder = self.value(written.value, body)
        if written.attr == "__class__" and isinstance(holder, Instance):
            return Class(holder.of)
        if written.attr in ("__dict__", "__wrapped__", "__func__") and isinstance(holder, (Class, Instance, Callable)):
            return holder
        kind = self.member(holder, written.attr)
        if not isinstance(kind, Class):
            self.read_member(holder, written.attr, body, written)
        if isinstance(kind, Callable) and isinstance(holder, (Instance, Class)) and self.of_vllm(holder):
            found = kind.definition
            symbol = f"{definition_of(holder).name}.{written.attr}"
            return Callable(Definition(symbol, found.node, found.module, found.owner), kind.bound)
        return kind

    def _lambda(self, written: ast.Lambda, body: Body) -> Type:
        hidden: Scope = {one.arg: None for one in ast.walk(written.args) if isinstance(one, ast.arg)}
        inner = Body(body.module, body.name, {**body.scope, **hidden}, inside=body.inside, copied=body.copied)
        self.value(written.body, inner)
        found = Definition(f"{body.name}.<lambda>", as_function(written), body.module)
        self.extras[found] = Extra(body.scope)
        return Callable(found)

    # Containers.

    def _row(self, written: ast.Tuple | ast.List | ast.Set, body: Body) -> Type | None:
        kinds = [self.value(one, body) for one in written.elts]
        if isinstance(written, (ast.Tuple, ast.List)):
            self.side_by_side(written.elts, kinds, {}, body, in_a_row=True)
        if isinstance(written, ast.Tuple):
            return TupleType(tuple(kinds)) if any(kinds) else None
        known = [one for one in kinds if one is not None]
        if len(known) > 1 and isinstance(known[0], (Text, TupleType, Class, Namespace, Callable)):
            return TupleType(tuple(kinds))
        return Items(known[0]) if known else None

    def _comprehension(
        self, written: ast.GeneratorExp | ast.ListComp | ast.SetComp | ast.DictComp, body: Body
    ) -> Type | None:
        inner = Body(body.module, body.name, dict(body.scope), inside=body.inside, copied=body.copied)
        outer, *others = written.generators
        kinds: list[Type | None] = []
        for each in self.each(self.value(outer.iter, inner), outer.iter, inner):
            self.assign(outer.target, each, inner)
            for generator in others:
                self.assign(
                    generator.target, self.item(self.value(generator.iter, inner), generator.iter, inner), inner
                )
            for test in [test for generator in written.generators for test in generator.ifs]:
                self.value(test, inner)
            if isinstance(written, ast.DictComp):
                self.value(written.key, inner)
            kinds.append(self.value(written.value if isinstance(written, ast.DictComp) else written.elt, inner))
        kind = first(kinds)
        return Items(kind) if kind else None

    def each(self, kind: Type | None, where: ast.AST, body: Body) -> list[Type | None]:
        """What a loop over something sees: the rows of a table that is written out, one by one."""
        if isinstance(kind, Table):
            kind = TupleType(kind.keys)
        if isinstance(kind, TupleType) and not kind.by and 1 < len(kind.places) <= MOST_ROWS:
            return list(kind.places)
        return [self.item(kind, where, body)]

    def item(self, kind: Type | None, where: ast.AST, body: Body) -> Type | None:
        """What a loop over something sees, all the same."""
        if isinstance(kind, TupleType):
            self.unpack(kind, where, body)
            return kind.places[0] if len(set(kind.places)) == 1 else None
        return kind.of if isinstance(kind, Items) else None

    def _subscript(self, kind: Type | None, at: Type | None, written: ast.Subscript, body: Body) -> Type | None:
        if (
            isinstance(kind, TupleType)
            and isinstance(written.slice, ast.Constant)
            and isinstance(written.slice.value, int)
        ):
            self.unpack(kind, written, body, written.slice.value + 1)
            return place_in(kind, written.slice.value)
        if isinstance(kind, Table) and isinstance(at, Text):
            return next((value for key, value in zip(kind.keys, kind.values, strict=True) if key == at), None)
        if dotted(written.value) == "sys.modules" and isinstance(at, Text) and self.is_vllm(at.value):
            return self.named(at.value)
        if isinstance(kind, (Class, Instance)) and isinstance(at, Text) and is_dict(written.value):
            return self.member(kind, at.value)
        if isinstance(kind, Items):
            return kind if isinstance(written.slice, ast.Slice) else kind.of
        return kind if isinstance(kind, (Foreign, Class)) else None


def place_in(kind: Type | None, at: int) -> Type | None:
    if isinstance(kind, TupleType):
        return kind.places[at] if -len(kind.places) <= at < len(kind.places) else None
    return kind.of if isinstance(kind, Items) else None


def _joined(written: ast.JoinedStr | ast.BinOp, kinds: list[Type | None]) -> Type | None:
    if isinstance(written, ast.BinOp) and not isinstance(written.op, ast.Add):
        return None
    if not all(isinstance(one, Text) for one in kinds):
        return None
    return Text("".join(one.value for one in kinds if isinstance(one, Text)))


def _either(call: ast.Call) -> set[ast.AST]:
    """What ``getattr(x, "value", x)`` takes for a plain value or for a member of an enum, whichever it is."""
    if not isinstance(call.func, ast.Name) or call.func.id != "getattr" or len(call.args) != 3:
        return set()
    asked, name, otherwise = call.args
    same = isinstance(name, ast.Constant) and name.value == "value" and ast.dump(asked) == ast.dump(otherwise)
    return {asked, otherwise} if same else set()
