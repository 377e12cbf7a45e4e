"""What an expression is, as far as annotations and assignments show: enough to follow a chain of attributes."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from patchkit.drift.module import Module, Setting
from patchkit.drift.package import Definition, Universe
from patchkit.drift.syntax import FUNCTIONS, Function, is_property, is_static

CONTAINERS = {"list", "List", "Sequence", "Iterable", "Iterator", "tuple", "Tuple", "set", "Set", "deque", "Collection"}


MAPPINGS = {"dict", "Dict", "Mapping", "MutableMapping", "defaultdict"}


TRANSPARENT = {"Optional", "Union", "Annotated", "Final", "ClassVar", "Required"}
"""Annotations that say no more than what is inside them."""
DEEPEST = 12
"""Attributes, calls and annotations that are followed inside one another."""


@dataclass(frozen=True)
class Instance:
    """An object of a class."""

    of: Definition


@dataclass(frozen=True)
class Class:
    """A class itself."""

    definition: Definition


@dataclass(frozen=True)
class Callable:
    """A function, or a method taken from an object (``bound``) or from its class."""

    definition: Definition
    bound: bool = False


@dataclass(frozen=True)
class Namespace:
    """A module."""

    definition: Definition


@dataclass(frozen=True)
class Items:
    """A container of objects of one type."""

    of: Type


@dataclass(frozen=True)
class TupleType:
    """A tuple, place by place; ``by`` is the function that returned it, where that is known."""

    places: tuple[Type | None, ...]
    by: str = ""


@dataclass(frozen=True)
class Text:
    """A string that is known."""

    value: str


@dataclass(frozen=True)
class Table:
    """A mapping that is written out: its keys and values, in order."""

    keys: tuple[Type | None, ...]
    values: tuple[Type | None, ...]


@dataclass(frozen=True)
class Missing:
    """A vLLM name that code uses and this release does not have."""

    symbol: str


@dataclass(frozen=True)
class Foreign:
    """An object of a package that is not read, such as torch."""


Type = Instance | Class | Callable | Namespace | Items | TupleType | Text | Table | Missing | Foreign


@dataclass
class Inference:
    """Types of expressions in a universe of sources.

    Attributes:
        given: what the code does not say: full name of an attribute or function -> annotation of its value.
        learned: the same, from reading how the code uses it; see :mod:`patchkit.drift.runtime_usage`.
    """

    universe: Universe
    given: Mapping[str, str] = field(default_factory=dict)
    learned: dict[str, Type] = field(default_factory=dict)
    _known: dict[tuple[str, str], Type | None] = field(default_factory=dict)
    _under_way: set[ast.AST] = field(default_factory=set)

    def learn(self, name: str, kind: Type | None) -> bool:
        """Record the type seen for a full name; returns whether that is new."""
        if kind is None or name in self.learned:
            return False
        self.learned[name] = kind
        self._known.clear()
        return True

    def of_definition(self, found: Definition, bound: bool = False) -> Type | None:
        """What a name with this definition stands for; ``bound``: taken from an object."""
        node = found.node
        if isinstance(node, ast.Module):
            return Namespace(found)
        if isinstance(node, ast.ClassDef):
            return Class(found)
        if isinstance(node, FUNCTIONS):
            if bound and is_property(node):
                return self.annotation(node.returns, found.module)
            return Callable(found, bound and not is_static(node))
        if isinstance(node, ast.AnnAssign):
            return self.annotation(node.annotation, found.module)
        if isinstance(node, ast.Assign) and node not in self._under_way:
            self._under_way.add(node)  # a circle of names ends where it began
            try:
                return self.expression(node.value, found.module, self._earlier(found))
            finally:
                self._under_way.discard(node)
        return None

    def _earlier(self, found: Definition) -> dict[str, Type | None]:
        """What a name stood for before a statement such as ``Worker = Worker`` or ``step = wrapped(step)``."""
        name = found.name.rpartition(".")[2]
        if found.owner is not None or name not in found.module.earlier:
            return {}
        before = self.universe.bound_by(found.module, name, found.module.earlier[name])
        return {name: self.of_definition(before) if before else None}

    def attribute(self, holder: Type | None, name: str) -> Type | None:
        if isinstance(holder, Namespace):
            found = self.universe.member(holder.definition, name)
            declared = (
                None if found and isinstance(found.node, FUNCTIONS) else self._declared(found)
            )  # of those: what they return
            return declared or (self.of_definition(found) if found else None)
        if isinstance(holder, Class):
            found = self.universe.class_member(holder.definition, name)
            return self.of_definition(found) if found else None
        if isinstance(holder, Instance):
            key = holder.of.name, name
            if key not in self._known:
                self._known[key] = None  # a circle ends here
                self._known[key] = self._of_attribute(holder, name)
            return self._known[key]
        return None

    def _of_attribute(self, holder: Instance, name: str) -> Type | None:
        found = self.universe.class_member(holder.of, name)
        if found is None:
            return None
        declared = self._declared(found)
        if declared or found.owner is None or not isinstance(found.node, ast.Assign) or not self._on_self(found):
            return declared or self.of_definition(found, bound=True)
        assert isinstance(found.owner.node, ast.ClassDef)
        settings = found.module.set_on_self(found.owner.node)[name]
        return first(self._of_setting(found, name, setting) for setting in settings)

    @staticmethod
    def _on_self(found: Definition) -> bool:
        assert found.owner is not None
        return isinstance(found.owner.node, ast.ClassDef) and found.node not in found.owner.node.body

    def _of_setting(self, found: Definition, name: str, setting: Setting) -> Type | None:
        statement, method = setting
        if isinstance(statement, ast.AnnAssign):
            return self.annotation(statement.annotation, found.module)
        if isinstance(statement.targets[0], ast.Tuple):
            return None
        assert found.owner is not None
        return self.expression(statement.value, found.module, self.parameters(method, found.module, found.owner))

    def parameters(self, function: Function, module: Module, owner: Definition | None) -> dict[str, Type]:
        """The annotated parameters of a function, ``self`` among them."""
        arguments = function.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        known = {one.arg: self.annotation(one.annotation, module) for one in every}
        if owner is not None and every and not is_static(function):
            known[every[0].arg] = Instance(owner)
        return {name: kind for name, kind in known.items() if kind is not None}

    def _declared(self, found: Definition | None) -> Type | None:
        if found is None:
            return None
        declared = self.given.get(found.name)
        return self.text(declared) if declared else self.learned.get(found.name)

    def text(self, annotation: str) -> Type | None:
        """The type that an annotation with full names stands for, such as ``list[vllm.x.Y]``."""
        return self.annotation(ast.parse(annotation, mode="eval").body, None)

    def annotation(self, written: ast.expr | None, module: Module | None, depth: int = 0) -> Type | None:
        """The type that an annotation in ``module`` stands for; of a union the first that is known."""
        if written is None or depth > DEEPEST:
            return None
        if isinstance(written, ast.Constant) and isinstance(written.value, str):
            try:
                return self.annotation(ast.parse(written.value, mode="eval").body, module, depth + 1)
            except SyntaxError:
                return None
        if isinstance(written, ast.BinOp):
            return self.annotation(written.left, module, depth + 1) or self.annotation(written.right, module, depth + 1)
        if isinstance(written, ast.Subscript):
            return self._generic(written, module, depth)
        found = self.universe.named(written, module) if module else self.universe.find(ast.unparse(written))
        if found and isinstance(found.node, (ast.Assign, ast.AnnAssign)) and found.node.value:  # X = Y | Z
            return self.annotation(found.node.value, found.module, depth + 1)
        return Instance(found) if found and isinstance(found.node, ast.ClassDef) else None

    def _generic(self, written: ast.Subscript, module: Module | None, depth: int) -> Type | None:
        name = ast.unparse(written.value).rpartition(".")[2]
        inner = list(written.slice.elts) if isinstance(written.slice, ast.Tuple) else [written.slice]
        kinds = [self.annotation(one, module, depth + 1) for one in inner]
        if name in ("tuple", "Tuple") and not (inner and isinstance(inner[-1], ast.Constant)):
            return TupleType(tuple(kinds))
        if name in TRANSPARENT:
            return first(kinds)
        if name in CONTAINERS and kinds[0]:
            return Items(kinds[0])
        if name in MAPPINGS and len(kinds) == 2 and kinds[1]:
            return Items(kinds[1])
        return self.annotation(written.value, module, depth + 1)

    def called(self, function: Type | None) -> Type | None:
        if isinstance(function, Class):
            return Instance(function.definition)
        if isinstance(function, Callable) and isinstance(function.definition.node, FUNCTIONS):
            definition, returns = function.definition, function.definition.node.returns
            said = self._declared(definition) or self.annotation(returns, definition.module)
            if returns is None and said is None:  # it may be a tuple: whoever takes it apart will be noted
                return TupleType((), definition.name)
            return TupleType(said.places, definition.name) if isinstance(said, TupleType) else said
        if isinstance(function, Instance):
            name, methods = self.callables(function)
            kind = next(iter(map(self.called, methods)), None)
            return TupleType(kind.places, f"{function.of.name}.{name}") if isinstance(kind, TupleType) else kind
        return None

    def callables(self, instance: Instance) -> tuple[str, list[Callable]]:
        """What runs when an object is called: ``__call__`` or, as in torch, ``forward``; every method it may be."""
        for name in ("__call__", "forward"):
            methods = self.methods_behind(instance.of, name)
            if methods:
                return name, methods
        return "", []

    def methods_behind(self, owner: Definition, name: str) -> list[Callable]:
        """The method ``name`` of a class; or all that it may be, where ``self.name`` is set to one or another."""
        found = self.universe.class_member(owner, name)
        if found is None or found.owner is None:
            return []
        if isinstance(found.node, ast.Assign) and isinstance(found.owner.node, ast.ClassDef):
            settings = found.module.set_on_self(found.owner.node).get(name, [])
            kinds = [self._of_setting(found, name, setting) for setting in settings]
        else:
            kinds = [self.of_definition(found, bound=True)]
        return list(dict.fromkeys(kind for kind in kinds if isinstance(kind, Callable)))

    def expression(
        self, written: ast.expr, module: Module, scope: Mapping[str, Type | None], depth: int = 0
    ) -> Type | None:
        """The type of an expression in a module, with some local names known."""
        if depth > DEEPEST:
            return None
        if isinstance(written, ast.Name):
            found = None if written.id in scope else self.universe.top_level(module, written.id)
            return scope.get(written.id) or (self.of_definition(found) if found else None)
        if isinstance(written, ast.Attribute):
            return self.attribute(self.expression(written.value, module, scope, depth + 1), written.attr)
        if isinstance(written, ast.Call):
            return self.called(self.expression(written.func, module, scope, depth + 1))
        if isinstance(written, ast.IfExp):
            either = written.body, written.orelse
        elif isinstance(written, ast.BoolOp):
            either = tuple(written.values)  # type: ignore[assignment]
        else:
            return None
        return first(self.expression(one, module, scope, depth + 1) for one in either)


def first(kinds: Iterable[Type | None]) -> Type | None:
    return next((kind for kind in kinds if kind is not None), None)
