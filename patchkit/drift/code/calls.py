"""Calls: of vLLM, which are touches; of the runtime's own functions, which are read again with what they are given."""

from __future__ import annotations

import ast
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from patchkit.drift.code.body import Body, Extra, dotted
from patchkit.drift.code.known import Known, KnownCall, Named
from patchkit.drift.code.notes import definition_of
from patchkit.drift.code.patches import How
from patchkit.drift.inference import (
    Callable,
    Class,
    Foreign,
    Instance,
    Missing,
    Namespace,
    Table,
    Text,
    TupleType,
    Type,
)
from patchkit.drift.package import Definition
from patchkit.drift.syntax import FUNCTIONS, is_static, positional, with_defaults
from patchkit.drift.touch import CallShape, shape_of

DEEPEST = 5
"""Calls that are read again one inside the other."""
MOST = 20_000
"""Calls that are read again in one round."""
GENERAL = ("setattr", "getattr", "import_module", "__import__", "wrap_function_wrapper", "patch", "object")
WRAPT = ("wrap_function_wrapper", "patch_function_wrapper", "wrap_object")


@dataclass
class Calls(Known):
    """What calls touch, and what they return."""

    depth: int = 0
    again: int = 0
    _under_way: set[str] = field(default_factory=set)
    _general: dict[ast.AST, bool] = field(default_factory=dict)

    @abstractmethod
    def body(self, found: Definition, body: Body) -> None:
        """Read the statements of a function, then those of the functions in it."""

    def call(self, written: ast.Call, body: Body, more: Type | None = None) -> Type | None:
        """The type of what a call returns; notes what it touches.

        Args:
            more: one more argument: the function that the call decorates.
        """
        name = dotted(written.func)
        arguments = [self.value(one.value if isinstance(one, ast.Starred) else one, body) for one in written.args]
        named = {one.arg: self.value(one.value, body) for one in written.keywords}
        known = self.known(KnownCall(name, written, arguments, named, body))
        if known is not None:
            return known[0]
        function = self._callee(written.func, body)
        same = self.same(written, name, arguments)
        if same is not None:
            return same
        before = self.noted
        returned = self.applied(function, arguments, named, written, body)
        if self.noted == before or function is None:
            kinds, texts = ([*arguments, more], [*written.args, written]) if more else (arguments, written.args)
            how: How = "by wrapt" if name.rpartition(".")[2] in WRAPT else "or what it makes"
            if self.side_by_side(texts, kinds, named, body, how):
                self.follow(body, written)
            elif self.names_vllm(name, function, kinds):
                self.lose(f"names something of vLLM to `{name}`", body, written)
        return returned

    def applied(
        self, function: Type | None, arguments: Sequence[Type | None], named: Named, written: ast.Call, body: Body
    ) -> Type | None:
        shape = shape_of(written)
        if isinstance(function, Callable):
            self._note_call(function, shape, written, body)
            if self.is_own(function):
                return self._own(function, arguments, named, body)
        elif isinstance(function, Class):
            self._construct(function, arguments, named, written, body)
        elif isinstance(function, Missing):
            self.touch(function.symbol, "calls", body, written, shape)
            return None
        elif isinstance(function, Instance):
            called, methods = self.inference.callables(function)
            if methods and self.of_vllm(function):
                self.touch(f"{function.of.name}.{called}", "calls", body, written, shape)
            for method in methods:
                if self.is_own(method):
                    self.bind(method, arguments, named, body)
        elif isinstance(function, Foreign):
            return function if all(isinstance(one, (Foreign, Text)) for one in (*arguments, *named.values())) else None
        return self.inference.called(function)

    # What is called.

    def _callee(self, written: ast.expr, body: Body) -> Type | None:
        """What is called; a method is noted as called, not as read."""
        if not isinstance(written, ast.Attribute):
            return self.value(written, body)
        if is_super(written.value):
            return self.of_super(written.attr, body)
        name = dotted(written)
        if name in body.scope:
            return body.scope[name]
        holder = self.value(written.value, body)
        kind = self.member(holder, written.attr)
        if not isinstance(kind, (Callable, Class, Missing)):
            self.read_member(holder, written.attr, body, written)
        elif isinstance(kind, Callable) and isinstance(holder, (Instance, Class)) and self.of_vllm(holder):
            found = kind.definition  # by its class there
            symbol = f"{definition_of(holder).name}.{written.attr}"
            kind = Callable(Definition(symbol, found.node, found.module, found.owner), kind.bound)
        return kind

    def of_super(self, name: str, body: Body) -> Type | None:
        for base in self.universe.bases(body.inside) if body.inside else []:
            found = self.universe.class_member(base, name)
            if found is not None and isinstance(found.node, FUNCTIONS):
                symbol = f"{base.name}.{name}" if self.is_vllm(base.name) else found.name
                return Callable(Definition(symbol, found.node, found.module, found.owner), bound=True)
        return None

    def _note_call(self, function: Callable, shape: CallShape, written: ast.Call, body: Body) -> None:
        found = function.definition
        unbound = found.owner is not None and not function.bound
        if unbound and isinstance(found.node, FUNCTIONS) and not is_static(found.node):
            shape = CallShape(max(shape.positional - 1, 0), shape.keywords, shape.rest, shape.named)
        self.touch(found.name, "calls", body, written, shape)

    def _construct(
        self, function: Class, arguments: Sequence[Type | None], named: Named, written: ast.Call, body: Body
    ) -> None:
        self.touch(function.definition.name, "constructs", body, written, shape_of(written))
        found = self.universe.class_member(function.definition, "__init__")
        if found and isinstance(found.node, FUNCTIONS):
            if self.is_own(Callable(found)):
                self._own(Callable(found, bound=True), [*arguments], named, body, Instance(function.definition))
            elif not self.of_vllm(function):
                self.touch(found.name, "calls", body, written, shape_of(written))
            return
        assert isinstance(function.definition.node, ast.ClassDef)  # a dataclass or a named tuple: its fields in order
        fields = [
            one.target.id
            for one in function.definition.node.body
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
        ]
        for name, kind in [*zip(fields, arguments, strict=False), *named.items()]:
            if not self.of_vllm(function):
                self.learn(f"{function.definition.name}.{name}", kind, body)

    # The runtime's own functions.

    def _own(
        self,
        function: Callable,
        arguments: list[Type | None] | Sequence[Type | None],
        named: Named,
        body: Body,
        this: Type | None = None,
    ) -> Type | None:
        self.bind(function, arguments, named, body)
        extra = self.extras.get(function.definition)
        given = (*arguments, *named.values())
        informative = extra is not None or any(map(self._is_informative, given))
        informative = informative or (
            self._is_general(function) and any(isinstance(one, (Text, Callable)) for one in given)
        )
        name = function.definition.name
        if not informative or self.muted or self.depth >= DEEPEST or self.again >= MOST or name in self._under_way:
            return self.inference.called(function)
        self.again, self.depth = self.again + 1, self.depth + 1
        self._under_way.add(name)
        inner = self._entered(function, extra or Extra(), arguments, named, this)
        self.body(function.definition, inner)
        self._under_way.discard(name)
        self.depth -= 1
        return self.likeliest(inner.returned) or self.inference.called(function)

    def _entered(
        self, function: Callable, extra: Extra, arguments: Sequence[Type | None], named: Named, this: Type | None
    ) -> Body:
        found = function.definition
        assert isinstance(found.node, FUNCTIONS)
        scope = {**extra.scope, **self.parameters(found.node, found), **_defaults(found.node)}
        names = positional(found.node)
        if this is not None and names:
            scope[names[0]] = this
        given = [*extra.given, *arguments]
        skipped = 1 if (function.bound or this is not None) and not is_static(found.node) else 0
        scope |= {name: kind for name, kind in zip(names[skipped:], given, strict=False) if kind is not None}
        rest = given[len(names) - skipped :]
        if found.node.args.vararg and rest:
            scope[found.node.args.vararg.arg] = TupleType(tuple(rest))
        taken = {*names, *(one.arg for one in found.node.args.kwonlyargs)}
        scope |= {name: kind for name, kind in (*extra.named, *named.items()) if name in taken and kind is not None}
        return Body(found.module, found.name, scope, inside=found.owner, copied=True)

    def _is_general(self, function: Callable) -> bool:
        """Whether a function sets, gets or imports what its arguments name."""
        node = function.definition.node
        if node not in self._general:
            calls = [one for one in ast.walk(node) if isinstance(one, ast.Call)]
            self._general[node] = any(dotted(one.func).rpartition(".")[2] in GENERAL for one in calls)
        return self._general[node]

    def _is_informative(self, kind: Type | None) -> bool:
        """Whether an argument is such that a function is worth reading again with it."""
        if isinstance(kind, Text):
            return self._is_target(kind.value) or kind.value == self.top
        if isinstance(kind, TupleType):
            return any(map(self._is_informative, kind.places))
        if isinstance(kind, Table):
            return any(map(self._is_informative, (*kind.keys, *kind.values)))
        return isinstance(kind, (Class, Namespace, Missing, Callable)) and self.of_vllm(kind)


def is_super(written: ast.expr) -> bool:
    return isinstance(written, ast.Call) and isinstance(written.func, ast.Name) and written.func.id == "super"


def _defaults(node: ast.AST) -> dict[str, Type | None]:
    """Parameters whose default is a text."""
    assert isinstance(node, FUNCTIONS)
    return {
        one.arg: Text(value.value)
        for one, value in with_defaults(node)
        if isinstance(value, ast.Constant) and isinstance(value.value, str)
    }
