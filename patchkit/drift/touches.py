"""What a runtime touches of vLLM, read off its own code: imports, monkey-patches, chains of attributes, calls.

The types of the parameters of a hook come from the vLLM method that it replaces, and from there they are followed
through the runtime's own functions and attributes. What no annotation tells (a model behind ``nn.Module``) the manifest
says under ``types``; what neither tells is not seen.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from patchkit.drift.inference import Callable, Class, Inference, Instance, Items, Namespace, Row, Type, first
from patchkit.drift.package import FUNCTIONS, Definition, Function, Module, Package, Universe, positional, uncollected

Manner = Literal["imports", "wraps", "replaces", "calls", "reads", "unpacks"]
ROUNDS = 8
"""Times that the code is read until nothing new is learned; each round follows a value one call further."""
PARTIALS = ("partial", "functools.partial")


@dataclass(frozen=True)
class Call:
    """How something is called, or may be: ``self`` left out.

    Attributes:
        positional: arguments by position.
        keywords: arguments by name.
        rest, named: whether ``*rest`` and ``**named`` are passed on, or taken.
    """

    positional: int
    keywords: tuple[str, ...] = ()
    rest: bool = False
    named: bool = False


@dataclass(frozen=True)
class Touch:
    """One place in the runtime's code that touches one vLLM symbol.

    Attributes:
        symbol: full name, by the class through which it is reached.
        place: ``package/hooks.py:62``.
        call: for ``calls`` what is passed, for ``wraps`` what the replacement takes.
    """

    symbol: str
    manner: Manner
    place: str
    call: Call | None = None


@uncollected()
def touches_of(runtime: Package, vllm: Package, types: Mapping[str, str]) -> list[Touch]:
    """Every touch of ``runtime``'s code on ``vllm``, in the order of files and lines.

    Args:
        types: what static reading cannot see: full name of an attribute or function -> annotation with full names.
    """
    universe = Universe(runtime, vllm)
    inference = Inference(universe, types)
    modules = [module for module in map(runtime.module, _modules(runtime)) if module]
    for _ in range(ROUNDS):
        reading = Reading(universe, inference, vllm.top)
        for module in modules:
            reading.module(module)
        if not reading.news:
            break
    return sorted(set(reading.touches), key=lambda touch: (touch.place.partition(":")[0], _line(touch), touch.symbol))


def _modules(package: Package) -> list[str]:
    names = (path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in package.source.paths())
    return sorted(name for name in names if name.partition(".")[0] == package.top)


def _line(touch: Touch) -> int:
    return int(touch.place.rpartition(":")[2])


Scope = dict[str, Type]


@dataclass
class Reading:
    """One round through the runtime's code."""

    universe: Universe
    inference: Inference
    top: str
    touches: list[Touch] = field(default_factory=list)
    news: bool = False

    # Statements.

    def module(self, module: Module) -> None:
        for name, (origin, original) in module.origins.items():
            if origin.partition(".")[0] == self.top and original:
                self._touch(f"{origin}.{original}", "imports", module, module.bindings[name])
        self._body(module.tree.body, {}, module, None, module.name)

    def _body(
        self, body: Sequence[ast.stmt], scope: Scope, module: Module, owner: Definition | None, name: str
    ) -> None:
        for statement in body:
            self._statement(statement, scope, module, owner, name)

    def _statement(
        self, statement: ast.stmt, scope: Scope, module: Module, owner: Definition | None, name: str
    ) -> None:
        if isinstance(statement, ast.ClassDef):
            inner = Definition(f"{name}.{statement.name}", statement, module)
            self._body(statement.body, dict(scope), module, inner, inner.name)
        elif isinstance(statement, FUNCTIONS):
            found = Definition(f"{name}.{statement.name}", statement, module, owner)
            if owner is None:
                scope[statement.name] = Callable(found)
            self._function(found, scope)
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            if statement.value is not None:
                kind = self._value(statement.value, scope, module)
                for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
                    self._assign(target, kind, scope, module)
        elif isinstance(statement, (ast.For, ast.AsyncFor)):
            self._assign(
                statement.target,
                self._item(self._value(statement.iter, scope, module), statement, module),
                scope,
                module,
            )
            self._body([*statement.body, *statement.orelse], scope, module, owner, name)
        elif isinstance(statement, ast.Return):
            kind = self._value(statement.value, scope, module) if statement.value else None
            self.news |= self.inference.learn(name, kind)
        else:
            for child in ast.iter_child_nodes(statement):
                if isinstance(child, ast.stmt):
                    self._statement(child, scope, module, owner, name)
                elif isinstance(child, ast.expr):
                    self._value(child, scope, module)
                elif isinstance(child, ast.withitem):
                    kind = self._value(child.context_expr, scope, module)
                    if child.optional_vars:
                        self._assign(child.optional_vars, kind, scope, module)
                elif isinstance(child, ast.ExceptHandler):
                    self._body(child.body, scope, module, owner, name)

    def _function(self, found: Definition, outer: Scope) -> None:
        assert isinstance(found.node, FUNCTIONS)
        scope = outer | self.inference.parameters(found.node, found.module, found.owner)
        for parameter in _parameters(found.node):
            learned = self.inference.learned.get(f"{found.name}.{parameter}")
            if learned:
                scope[parameter] = learned
        self._body(found.node.body, scope, found.module, None, found.name)

    def _assign(self, target: ast.expr, kind: Type | None, scope: Scope, module: Module) -> None:
        if isinstance(target, ast.Name):
            if kind is None:
                scope.pop(target.id, None)
            else:
                scope[target.id] = kind
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._unpack(kind, target, module, len(target.elts))
            for at, part in enumerate(target.elts):
                self._assign(part, self._place(kind, at), scope, module)
        elif isinstance(target, ast.Attribute):
            holder = self._value(target.value, scope, module)
            if isinstance(holder, (Instance, Class)):
                name = _definition(holder).name
                if self._is_vllm(name):
                    self._patch(holder, target.attr, kind, target, module)
                else:
                    self.news |= self.inference.learn(f"{name}.{target.attr}", kind)
        else:
            self._value(target, scope, module)

    # Expressions.

    def _value(self, written: ast.expr, scope: Scope, module: Module) -> Type | None:
        """The type of an expression; notes what it touches."""
        if isinstance(written, ast.Call):
            return self._call(written, scope, module)
        if isinstance(written, ast.Attribute):
            holder = self._value(written.value, scope, module)
            kind = self.inference.attribute(holder, written.attr)
            if not isinstance(kind, Class):
                self._touch_member(holder, written.attr, module, written)
            return kind
        if isinstance(written, ast.Subscript):
            kind = self._value(written.value, scope, module)
            self._value(written.slice, scope, module)
            return self._subscript(kind, written, module)
        if isinstance(written, ast.Lambda):
            hidden = {one.arg for one in ast.walk(written.args) if isinstance(one, ast.arg)}
            self._value(written.body, {name: kind for name, kind in scope.items() if name not in hidden}, module)
            return None
        if isinstance(written, (ast.GeneratorExp, ast.ListComp, ast.SetComp, ast.DictComp)):
            return self._comprehension(written, scope, module)
        if isinstance(written, (ast.Tuple, ast.List)):
            kinds = [self._value(one, scope, module) for one in written.elts]
            self._patches(written.elts, kinds, module)
            if isinstance(written, ast.Tuple):
                return Row(tuple(kinds)) if any(kinds) else None
            return next((Items(kind) for kind in kinds if kind), None)
        if isinstance(written, ast.NamedExpr):
            kind = self._value(written.value, scope, module)
            self._assign(written.target, kind, scope, module)
            return kind
        kinds = [
            self._value(child, scope, module) for child in ast.iter_child_nodes(written) if isinstance(child, ast.expr)
        ]
        if isinstance(written, ast.IfExp):
            return kinds[1] or kinds[2]
        if isinstance(written, ast.BoolOp):
            return first(kinds)
        return self.inference.expression(written, module, scope)

    def _comprehension(
        self, written: ast.GeneratorExp | ast.ListComp | ast.SetComp | ast.DictComp, scope: Scope, module: Module
    ) -> Type | None:
        inner = dict(scope)
        for generator in written.generators:
            each = self._item(self._value(generator.iter, inner, module), generator.iter, module)
            self._assign(generator.target, each, inner, module)
            for test in generator.ifs:
                self._value(test, inner, module)
        if isinstance(written, ast.DictComp):
            self._value(written.key, inner, module)
            kind = self._value(written.value, inner, module)
        else:
            kind = self._value(written.elt, inner, module)
        return Items(kind) if kind else None

    def _item(self, kind: Type | None, where: ast.AST, module: Module) -> Type | None:
        """What a loop over something sees."""
        if isinstance(kind, Row):
            self._unpack(kind, where, module)
            return kind.places[0] if len(set(kind.places)) == 1 else None
        return kind.of if isinstance(kind, Items) else None

    def _subscript(self, kind: Type | None, written: ast.Subscript, module: Module) -> Type | None:
        if isinstance(kind, Row) and isinstance(written.slice, ast.Constant) and isinstance(written.slice.value, int):
            self._unpack(kind, written, module, written.slice.value + 1)
            return self._place(kind, written.slice.value)
        if isinstance(kind, Items):
            return kind if isinstance(written.slice, ast.Slice) else kind.of
        return None

    @staticmethod
    def _place(kind: Type | None, at: int) -> Type | None:
        if isinstance(kind, Row):
            return kind.places[at] if -len(kind.places) <= at < len(kind.places) else None
        return kind.of if isinstance(kind, Items) else None

    # Calls.

    def _call(self, written: ast.Call, scope: Scope, module: Module) -> Type | None:
        name = ast.unparse(written.func)
        arguments = [
            self._value(one.value if isinstance(one, ast.Starred) else one, scope, module) for one in written.args
        ]
        named = {one.arg: self._value(one.value, scope, module) for one in written.keywords}
        literals = [one.value if isinstance(one, ast.Constant) else None for one in written.args]
        if name == "setattr" and len(arguments) == 3 and isinstance(literals[1], str):
            self._patch(arguments[0], literals[1], arguments[2], written, module)
            return None
        if name in ("getattr", "hasattr") and len(arguments) > 1 and isinstance(literals[1], str):
            self._touch_member(arguments[0], literals[1], module, written)
            return self.inference.attribute(arguments[0], literals[1])
        if name in PARTIALS and arguments and isinstance(arguments[0], Callable):
            self._bind(arguments[0].definition, arguments[1:], named)
            return arguments[0]
        self._patches(written.args, arguments, module)
        function = self._callee(written.func, scope, module)
        shape = shape_of(written)
        if isinstance(function, Callable):
            self._called(function, shape, written, module)
            self._bind(function.definition, arguments, named, bound=function.bound)
        elif isinstance(function, Class):
            self._construct(function, arguments, named)
        elif isinstance(function, Instance):
            called, methods = self.inference.callables(function)
            if methods:
                self._touch(f"{function.of.name}.{called}", "calls", module, written, shape)
            for method in methods:
                self._bind(method.definition, arguments, named, bound=True)
        return self.inference.called(function)

    def _callee(self, written: ast.expr, scope: Scope, module: Module) -> Type | None:
        """What is called; a method is noted as called, not as read."""
        if isinstance(written, ast.Attribute):
            holder = self._value(written.value, scope, module)
            kind = self.inference.attribute(holder, written.attr)
            if not isinstance(kind, Callable):
                self._touch_member(holder, written.attr, module, written)
            elif isinstance(holder, (Instance, Class)) and self._is_vllm(
                _definition(holder).name
            ):  # by its class there
                found = kind.definition
                named = f"{_definition(holder).name}.{written.attr}"
                kind = Callable(Definition(named, found.node, found.module, found.owner), kind.bound)
            return kind
        return self._value(written, scope, module)

    def _called(self, function: Callable, shape: Call, written: ast.Call, module: Module) -> None:
        if not self._is_vllm(function.definition.name):
            return
        if function.definition.owner is not None and not function.bound and not _static(function.definition):
            shape = Call(max(shape.positional - 1, 0), shape.keywords, shape.rest, shape.named)
        self._touch(function.definition.name, "calls", module, written, shape)

    def _construct(
        self, function: Class, arguments: Sequence[Type | None], named: Mapping[str | None, Type | None]
    ) -> None:
        found = self.universe.class_member(function.definition, "__init__")
        if found and isinstance(found.node, FUNCTIONS):
            self._bind(found, arguments, named, bound=True)
            return
        assert isinstance(function.definition.node, ast.ClassDef)  # a dataclass or a named tuple: its fields in order
        fields = [
            one.target.id
            for one in function.definition.node.body
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
        ]
        for name, kind in [*zip(fields, arguments, strict=False), *named.items()]:
            if not self._is_vllm(function.definition.name):
                self.news |= self.inference.learn(f"{function.definition.name}.{name}", kind)

    def _bind(
        self,
        function: Definition,
        arguments: Sequence[Type | None],
        named: Mapping[str | None, Type | None],
        bound: bool = False,
    ) -> None:
        """Learn the parameters of one of the runtime's own functions from a call of it."""
        if self._is_vllm(function.name) or not isinstance(function.node, FUNCTIONS):
            return
        parameters = positional(function.node)[1 if bound else 0 :]
        for parameter, kind in [*zip(parameters, arguments, strict=False), *named.items()]:
            self.news |= self.inference.learn(f"{function.name}.{parameter}", kind)

    # Monkey-patches.

    def _patches(self, written: Sequence[ast.expr], kinds: Sequence[Type | None], module: Module) -> None:
        """A class of vLLM, the name of a method, and what makes or is the replacement, side by side."""
        for at, kind in enumerate(kinds[:-1]):
            name = written[at + 1]
            if isinstance(kind, Class) and isinstance(name, ast.Constant) and isinstance(name.value, str):
                replacement = kinds[at + 2] if len(kinds) > at + 2 else None
                self._patch(kind, name.value, replacement, written[at], module)

    def _patch(self, holder: Type | None, name: str, by: Type | None, where: ast.AST, module: Module) -> None:
        if not isinstance(holder, (Instance, Class)) or not self._is_vllm(_definition(holder).name):
            return
        symbol = f"{_definition(holder).name}.{name}"
        original = self.universe.class_member(_definition(holder), name)
        if isinstance(by, Instance):
            by = next(iter(self.inference.callables(by)[1]), None)
        if not isinstance(by, Callable) or not isinstance(by.definition.node, FUNCTIONS):
            self._touch(symbol, "wraps", module, where)
            return
        factory, replacement = by.definition, _made_by(by.definition)
        assert isinstance(replacement.node, FUNCTIONS)
        called = _called_with_self(factory.node, replacement.node) if factory is not replacement else None
        manner: Manner = "wraps" if called is None or _hands_on(replacement.node, called) else "replaces"
        self._touch(symbol, manner, replacement.module, replacement.node, accepted_by(replacement.node))
        if original is None or not isinstance(original.node, FUNCTIONS):
            return
        named = Definition(symbol, original.node, original.module, original.owner)
        theirs = self.inference.parameters(original.node, original.module, _definition(holder))
        for ours, parameter in zip(positional(replacement.node), positional(original.node), strict=False):
            if not isinstance(holder, Instance):
                self.news |= self.inference.learn(f"{replacement.name}.{ours}", theirs.get(parameter))
        if called:
            self.news |= self.inference.learn(f"{factory.name}.{called}", Callable(named))

    # Notes.

    def _unpack(self, kind: Type | None, where: ast.AST, module: Module, values: int | None = None) -> None:
        """Values are taken out of what a function returned, by their place; None if it takes whatever there is."""
        if isinstance(kind, Row):
            self._touch(kind.by, "unpacks", module, where, None if values is None else Call(values))

    def _touch_member(self, holder: Type | None, name: str, module: Module, where: ast.AST) -> None:
        if isinstance(holder, (Instance, Class, Namespace)) and self._is_vllm(_definition(holder).name):
            found = self.universe.member(_definition(holder), name)
            if found and not isinstance(found.node, ast.Module):  # else it is a module, or comes from torch or Python
                self._touch(f"{_definition(holder).name}.{name}", "reads", module, where)

    def _touch(self, symbol: str, manner: Manner, module: Module, where: ast.AST, call: Call | None = None) -> None:
        if self._is_vllm(symbol):
            self.touches.append(Touch(symbol, manner, f"{module.path}:{getattr(where, 'lineno', 1)}", call))

    def _is_vllm(self, name: str) -> bool:
        return name.partition(".")[0] == self.top


def _definition(kind: Instance | Class | Namespace) -> Definition:
    return kind.of if isinstance(kind, Instance) else kind.definition


def _static(found: Definition) -> bool:
    return isinstance(found.node, FUNCTIONS) and any(
        ast.unparse(one).endswith("staticmethod") for one in found.node.decorator_list
    )


def _parameters(function: Function) -> list[str]:
    return [*positional(function), *(one.arg for one in function.args.kwonlyargs)]


def _made_by(factory: Definition) -> Definition:
    """The function that a factory defines inside itself and returns; the factory itself if it is none."""
    assert isinstance(factory.node, FUNCTIONS)
    inner = {one.name: one for one in factory.node.body if isinstance(one, FUNCTIONS)}
    for statement in factory.node.body:
        if isinstance(statement, ast.Return) and isinstance(statement.value, ast.Name) and statement.value.id in inner:
            found = inner[statement.value.id]
            return Definition(f"{factory.name}.{found.name}", found, factory.module)
    return factory


def _called_with_self(factory: ast.AST, replacement: Function) -> str | None:
    """The factory's parameter that the replacement calls with its own first parameter first: the original."""
    assert isinstance(factory, FUNCTIONS)
    given, own = set(_parameters(factory)), positional(replacement)[:1]
    for node in ast.walk(replacement):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in given:
            continue
        if [ast.unparse(one) for one in node.args[:1]] == own:
            return node.func.id
    return None


def _hands_on(replacement: Function, original: str) -> bool:
    """Whether a replacement returns only what the original returned."""
    theirs = {
        target.id
        for node in ast.walk(replacement)
        if isinstance(node, ast.Assign) and _is_call_of(node.value, original)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    given = [node.value for node in ast.walk(replacement) if isinstance(node, ast.Return) and node.value]
    return all(_is_call_of(one, original) or (isinstance(one, ast.Name) and one.id in theirs) for one in given)


def _is_call_of(value: ast.expr, name: str) -> bool:
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == name


def shape_of(call: ast.Call) -> Call:
    """What a call passes, ``self`` included where it is passed by hand."""
    return Call(
        sum(not isinstance(one, ast.Starred) for one in call.args),
        tuple(one.arg for one in call.keywords if one.arg),
        any(isinstance(one, ast.Starred) for one in call.args),
        any(one.arg is None for one in call.keywords),
    )


def accepted_by(function: Function) -> Call:
    """What a replacement of a method takes after its ``self``."""
    arguments = function.args
    return Call(
        len(positional(function)) - 1,
        tuple(one.arg for one in arguments.kwonlyargs),
        arguments.vararg is not None,
        arguments.kwarg is not None,
    )
