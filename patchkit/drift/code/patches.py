"""Monkey-patches: something of vLLM is set to something else, however that is written."""

from __future__ import annotations

import ast
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from patchkit.drift.code.body import Body, Extra
from patchkit.drift.code.notes import Notes, definition_of
from patchkit.drift.code.replacements import called_with_self, hands_on, made_by
from patchkit.drift.inference import Callable, Class, Foreign, Instance, Missing, Namespace, Text, Type
from patchkit.drift.package import Definition
from patchkit.drift.syntax import FUNCTIONS, is_static, positional
from patchkit.drift.touch import CallShape, Manner, Unread, accepted_by

ANYTHING = CallShape(0, rest=True, named=True)
"""What a wrapper of wrapt takes: ``(wrapped, instance, args, kwargs)``."""
ROW = "names something of vLLM in a table of which no line that was read makes use"
How = Literal["itself", "or what it makes", "by wrapt"]
CODE = (*FUNCTIONS, ast.ClassDef)


@dataclass
class Patches(Notes):
    """Notes what is put in the place of a vLLM symbol.

    Attributes:
        rows: what a table names beside something that is no function -> its place.
        extras: what single objects of functions carry: the names around them, bound arguments.
        news: something was learned that makes another round worth while.
    """

    extras: dict[Definition, Extra] = field(default_factory=dict)
    rows: dict[str, Unread] = field(default_factory=dict)
    news: bool = False

    def unread(self) -> Iterator[Unread]:
        yield from super().unread()
        touched = {touch.symbol for touch in self.touches if touch.manner != "imports"}
        yield from (unread for symbol, unread in self.rows.items() if symbol not in touched)

    @abstractmethod
    def value(self, written: ast.expr, body: Body) -> Type | None:
        """The type of an expression; notes what it touches."""

    def learn(self, name: str, kind: Type | None, body: Body) -> None:
        """Keep what a parameter or an attribute of the runtime's own holds, if that is the same for every call."""
        if not body.copied and not isinstance(kind, (Text, Foreign, Missing)):
            self.news |= self.inference.learn(name, kind)

    def put(
        self, holder: Type | None, name: str, by: Type | None, body: Body, where: ast.AST, how: How = "itself"
    ) -> bool:
        """``holder.name`` is set to ``by``; returns whether that could be followed.

        Args:
            name: may be dotted, ``Class.method``.
            how: ``by`` is put there itself, or what it makes, or what calls it as wrapt does.
        """
        *parts, name = name.split(".")
        for part in parts:
            holder = self.member(holder, part)
        if isinstance(holder, Missing):
            symbol, original = f"{holder.symbol}.{name}", None
        elif isinstance(holder, (Instance, Class, Namespace)) and self.is_vllm(definition_of(holder).name):
            symbol = f"{definition_of(holder).name}.{name}"
            original = self.universe.member(definition_of(holder), name)
        else:
            return holder is not None
        self._put(symbol, holder, original, by, body, where, how)
        return True

    def member(self, holder: Type | None, name: str) -> Type | None:
        """The type of ``holder.name``; what vLLM does not have is missing, not unknown."""
        if isinstance(holder, Missing):
            return Missing(f"{holder.symbol}.{name}")
        if isinstance(holder, Foreign):
            return holder
        kind = self.inference.attribute(holder, name)
        if kind is not None or not isinstance(holder, (Class, Namespace)) or not self.of_vllm(holder):
            return kind
        if self.universe.member(definition_of(holder), name) is not None:
            return None
        symbol = f"{definition_of(holder).name}.{name}"
        module = self.universe.module(symbol)
        return Namespace(Definition(module.name, module.tree, module)) if module else Missing(symbol)

    def _is_from(self, holder: Type, by: Callable) -> bool:
        """Whether a function is a member of the class or module itself."""
        if not isinstance(holder, (Instance, Class, Namespace)) or not self.of_vllm(by):
            return False
        found = self.universe.member(definition_of(holder), by.definition.name.rpartition(".")[2])
        return found is not None and found.node is by.definition.node

    def likeliest(self, kinds: Iterable[Type | None]) -> Type | None:
        """Of what a value may be, the runtime's own code before anything else: then something is hooked."""
        known = [kind for kind in kinds if kind is not None]
        return next((kind for kind in known if self.is_code(kind)), known[0] if known else None)

    def is_code(self, kind: Type | None) -> bool:
        """Whether it is a function or class of the runtime's own, or an object that is called like one."""
        if isinstance(kind, Instance):
            return not self.of_vllm(kind) and bool(self.inference.callables(kind)[1])
        return isinstance(kind, (Callable, Class)) and not self.of_vllm(kind)

    # What is put.

    def _put(
        self,
        symbol: str,
        holder: Type,
        original: Definition | None,
        by: Type | None,
        body: Body,
        where: ast.AST,
        how: How,
    ) -> None:
        if isinstance(by, Callable) and original is not None and by.definition.node is original.node:
            return  # it is put back
        if isinstance(by, Callable) and original is None and self._is_from(holder, by):
            return  # it is kept there under a name of the runtime's own
        if isinstance(by, Class):
            self._put_class(symbol, by, body, where)
            return
        called_object = isinstance(by, Instance) and self.is_code(by)
        if called_object:
            assert isinstance(by, Instance)
            by = self.inference.callables(by)[1][0]
        if isinstance(by, Callable) and self.of_vllm(by) and isinstance(by.definition.node, FUNCTIONS):
            selfless = isinstance(holder, Namespace) or is_static(by.definition.node)
            self.touch(symbol, "replaces", body, where, accepted_by(by.definition.node, 0 if selfless else 1))
        elif isinstance(by, Callable) and isinstance(by.definition.node, FUNCTIONS):
            self._put_function(symbol, holder, original, by, how, called_object)
        elif original is not None and not isinstance(original.node, (*CODE, ast.Module)):
            self.touch(symbol, "writes", body, where)
        elif original is not None:
            self.touch(symbol, "replaces", body, where)

    def _put_class(self, symbol: str, by: Class, body: Body, where: ast.AST) -> None:
        made = self.universe.class_member(by.definition, "__init__")
        takes = accepted_by(made.node) if made and isinstance(made.node, FUNCTIONS) else None
        self.touch(symbol, "replaces", body, where, takes)

    def _put_function(
        self,
        symbol: str,
        holder: Type,
        original: Definition | None,
        by: Callable,
        how: How,
        called_object: bool,
    ) -> None:
        wrapt = how == "by wrapt"
        factory, replacement = by.definition, made_by(by.definition) if how == "or what it makes" else by.definition
        assert isinstance(replacement.node, FUNCTIONS) and isinstance(factory.node, FUNCTIONS)
        extra = self.extras.get(factory, Extra())
        selfless = extra.static or is_static(replacement.node) or isinstance(holder, Namespace)
        if isinstance(holder, Instance) and not called_object and replacement is factory:
            selfless = True  # set on an object, a plain function gets no self
        bound = len(extra.given) + (1 if called_object or extra.bound or not selfless else 0)
        takes = (
            ANYTHING if wrapt else accepted_by(replacement.node, bound if replacement is factory else int(not selfless))
        )
        called = called_with_self(factory.node, replacement.node) if factory is not replacement else None
        around = Body(replacement.module, replacement.name, {**extra.scope}, inside=replacement.owner)
        around.scope |= self.parameters(replacement.node, replacement)

        def is_original(call: ast.Call) -> bool:
            if isinstance(call.func, ast.Name) and call.func.id in {called, "wrapped" if wrapt else called}:
                return True
            return original is not None and self._reaches(call.func, original, around)

        manner: Manner = "wraps" if hands_on(replacement.node, is_original) else "replaces"
        there = Body(replacement.module, replacement.name, {})
        self.touch(symbol, manner, there, replacement.node, takes)
        if original is None or not isinstance(original.node, FUNCTIONS) or wrapt:
            return
        theirs = self.inference.parameters(
            original.node, original.module, original.owner and definition_of_holder(holder)
        )
        ours = positional(replacement.node)[len(extra.given) if replacement is factory else 0 :]
        skipped = 1 if called_object or (isinstance(holder, Instance) and original.owner is not None) else 0
        for own, parameter in zip(ours[int(called_object) :], positional(original.node)[skipped:], strict=False):
            if not isinstance(holder, Instance):
                self.news |= self.inference.learn(f"{replacement.name}.{own}", theirs.get(parameter))
        if called:
            named = Definition(symbol, original.node, original.module, original.owner)
            self.news |= self.inference.learn(f"{factory.name}.{called}", Callable(named))

    def parameters(self, node: ast.AST, found: Definition) -> dict[str, Type | None]:
        """Types of a function's parameters: annotated, or learned from its calls; none hides a name of the module."""
        assert isinstance(node, FUNCTIONS)
        every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        names = [*every, *filter(None, (node.args.vararg, node.args.kwarg))]
        known: dict[str, Type | None] = {one.arg: None for one in names}
        known |= self.inference.parameters(node, found.module, found.owner)
        for one in every:
            learned = self.inference.learned.get(f"{found.name}.{one.arg}")
            if learned:
                known[one.arg] = learned
        return known

    def _reaches(self, function: ast.expr, original: Definition, around: Body) -> bool:
        self.muted += 1
        kind = self.value(function, around)
        self.muted -= 1
        return isinstance(kind, Callable) and kind.definition.node is original.node

    # Holder, name and replacement among other arguments.

    def side_by_side(
        self,
        written: Sequence[ast.expr],
        kinds: Sequence[Type | None],
        named: Mapping[str | None, Type | None],
        body: Body,
        how: How = "or what it makes",
        in_a_row: bool = False,
    ) -> bool:
        """A place of vLLM, the name of what stands there, and what makes or is its replacement, one after the other.

        The place may be a class, a module, or the text ``vllm.v1.core``; or one text names it all.
        """
        done = False
        for at, kind in enumerate(kinds):
            behind = kinds[at + 1] if len(kinds) > at + 1 else None
            holder = self._named_in_text(kind) if isinstance(kind, Text) else kind
            where = written[min(at, len(written) - 1)]
            if isinstance(holder, (Class, Namespace, Missing)) and self.of_vllm(holder) and isinstance(behind, Text):
                if all(part.isidentifier() for part in behind.value.split(".")):
                    by = kinds[at + 2] if len(kinds) > at + 2 else next(iter(named.values()), None)
                    if in_a_row and not self.is_code(by):  # the code that reads the row shows what is done with it
                        place = holder.symbol if isinstance(holder, Missing) else definition_of(holder).name
                        self.rows[f"{place}.{behind.value}"] = Unread(body.place(where), ROW)
                        continue
                    done |= self.put(holder, behind.value, by, body, where, how)
            elif isinstance(kind, Text) and self._is_target(kind.value):
                by = behind if behind is not None else next(iter(named.values()), None)
                if self.is_code(by):
                    place, _, name = kind.value.rpartition(".")
                    done |= self.put(self.named(place), name, by, body, where, how)
        return done

    def _named_in_text(self, text: Text) -> Type | None:
        return self.named(text.value) if self._is_target(text.value) else None

    def _is_target(self, text: str) -> bool:
        return self.is_vllm(text) and "." in text and all(part.isidentifier() for part in text.split("."))

    def named(self, symbol: str) -> Type | None:
        """What a full name of vLLM stands for."""
        found = self.universe.find(symbol)
        return self.inference.of_definition(found) if found else Missing(symbol)


def definition_of_holder(holder: Type) -> Definition | None:
    return definition_of(holder) if isinstance(holder, (Instance, Class)) else None
