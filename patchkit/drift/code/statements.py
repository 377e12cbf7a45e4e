"""Statements: what they bind, patch and derive."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from patchkit.drift.code.expressions import Expressions, place_in
from patchkit.drift.code.frame import Extra, Frame, Scope, dotted
from patchkit.drift.code.notes import definition_of
from patchkit.drift.code.replacements import hands_on
from patchkit.drift.inference import Callable, Class, Foreign, Instance, Items, Missing, Namespace, Text, Type
from patchkit.drift.module import Module, origin_of
from patchkit.drift.package import Definition
from patchkit.drift.runtime_usage import Manner, accepted_by
from patchkit.drift.syntax import FUNCTIONS, is_static, positional


@dataclass
class Reader(Expressions):
    """One round through the runtime's code."""

    def read(self, module: Module) -> None:
        """A module, from its first statement to the bodies of its functions."""
        frame = Frame(module, module.name, {})
        for statement in module.tree.body:
            self.statement(statement, frame)
        self.around[module.name] = frame.scope
        self._read_later(frame)

    def body(self, found: Definition, frame: Frame) -> None:
        assert isinstance(found.node, FUNCTIONS)
        self.statements(found.node.body, frame)
        self._read_later(frame)

    @staticmethod
    def _read_later(frame: Frame) -> None:
        while frame.later:
            frame.later.pop(0)()

    def statements(self, body: Sequence[ast.stmt], frame: Frame) -> None:
        for statement in body:
            self.statement(statement, frame)

    def statement(self, statement: ast.stmt, frame: Frame) -> None:
        try:
            self._statement(statement, frame)
        except RecursionError:
            self.lose("is nested too deeply to be read", frame, statement)

    def _statement(self, statement: ast.stmt, frame: Frame) -> None:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            self._import(statement, frame)
        elif isinstance(statement, ast.ClassDef):
            self._class(statement, frame)
        elif isinstance(statement, FUNCTIONS):
            self._function(statement, frame)
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            self._assignment(statement, frame)
        elif isinstance(statement, (ast.For, ast.AsyncFor)):
            for each in self.each(self.value(statement.iter, frame), statement, frame):
                self.assign(statement.target, each, frame)
                self.statements(statement.body, frame)
            self.statements(statement.orelse, frame)
        elif isinstance(statement, ast.Return):
            kind = self.value(statement.value, frame) if statement.value else None
            frame.returned.append(kind)
            self.learn(frame.name, kind, frame)
        elif isinstance(statement, ast.If):
            self.value(statement.test, frame)
            self._branches([statement.body, statement.orelse], frame)
        elif isinstance(statement, ast.Try):
            handlers = [handler.body for handler in statement.handlers]
            self._branches([[*statement.body, *statement.orelse], *handlers], frame)
            self.statements(statement.finalbody, frame)
        else:
            self._others(statement, frame)

    def _others(self, holder: ast.AST, frame: Frame) -> None:
        for child in ast.iter_child_nodes(holder):
            if isinstance(child, ast.stmt):
                self.statement(child, frame)
            elif isinstance(child, ast.expr):
                self.value(child, frame)
            elif isinstance(child, ast.withitem):
                kind = self.value(child.context_expr, frame)
                if child.optional_vars:
                    self.assign(child.optional_vars, kind, frame)
            elif not isinstance(child, (ast.expr_context, ast.operator)):
                self._others(child, frame)

    def _branches(self, bodies: Sequence[Sequence[ast.stmt]], frame: Frame) -> None:
        """One or the other is run: behind them, a name is what any of them makes known of it."""
        before, scopes = frame.scope, []
        for body in bodies:
            frame.scope = dict(before)
            self.statements(body, frame)
            scopes.append(frame.scope)
        names = dict.fromkeys(name for scope in scopes for name in scope)
        merged: Scope = {name: self._either([scope.get(name) for scope in scopes]) for name in names}
        before.clear()  # the functions in it were given this very scope
        before.update(merged)
        frame.scope = before

    def _either(self, kinds: list[Type | None]) -> Type | None:
        return self.likeliest([kind for kind in kinds if not isinstance(kind, Missing)]) or self.likeliest(kinds)

    # Imports.

    def _import(self, statement: ast.Import | ast.ImportFrom, frame: Frame) -> None:
        for alias in statement.names:
            if isinstance(statement, ast.Import):
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                kind = self._module(whole)
                if self.is_vllm(alias.name) and isinstance(self._module(alias.name), Missing):
                    self.touch(alias.name, "imports", frame, statement)
                frame.scope[alias.asname or whole] = kind
                continue
            origin = origin_of(statement, frame.module)
            if alias.name == "*":
                continue
            frame.scope[alias.asname or alias.name] = self._member_of_module(origin, alias.name)
            self.touch(f"{origin}.{alias.name}", "imports", frame, alias)

    def _module(self, name: str) -> Type:
        if not self.universe.package(name):
            return Foreign()
        module = self.universe.module(name)
        return Namespace(Definition(module.name, module.tree, module)) if module else Missing(name)

    def _member_of_module(self, origin: str, name: str) -> Type | None:
        if not self.universe.package(origin):
            return Foreign()
        if not self.is_vllm(origin) and self.around.get(origin, {}).get(name):
            return self.around[origin][name]
        found = self.universe.imported(origin, name)
        if found is None:
            return Missing(f"{origin}.{name}") if self.is_vllm(origin) else None
        return self.inference.of_definition(found)

    # Classes and functions.

    def _class(self, statement: ast.ClassDef, frame: Frame) -> None:
        found = Definition(f"{frame.name}.{statement.name}", statement, frame.module)
        for decorator in statement.decorator_list:
            self.value(decorator, frame)
        bases = [self.value(base, frame) for base in statement.bases]
        for keyword in statement.keywords:
            self.value(keyword.value, frame)
        self.universe.local_bases[statement] = [one.definition for one in bases if isinstance(one, Class)]
        frame.scope[statement.name] = Class(found)
        for base, kind in zip(statement.bases, bases, strict=True):
            if isinstance(kind, Missing):
                self.touch(kind.symbol, "derives", frame, base)
            elif isinstance(kind, Class):
                self.touch(kind.definition.name, "derives", frame, base)
        scope = dict(frame.scope)
        inner = Frame(frame.module, found.name, scope, found, found, later=frame.later, copied=frame.copied)
        self.statements(statement.body, inner)
        self._overrides(statement, found, frame)

    def _overrides(self, statement: ast.ClassDef, owner: Definition, frame: Frame) -> None:
        """Methods and attributes that stand in the place of those of a base class in vLLM."""
        bases = [one for one in self.universe.lineage(owner) if self.is_vllm(one.name)]
        for one in statement.body if bases else []:
            names = [one.name] if isinstance(one, FUNCTIONS) else _names_set(one)
            for name in names:
                base = next((base for base in bases if self.universe.class_member(base, name)), None)
                if base is not None:
                    self._override(base, name, one, owner, frame)

    def _override(self, base: Definition, name: str, one: ast.stmt, owner: Definition, frame: Frame) -> None:
        original = self.universe.class_member(base, name)
        assert original is not None
        if not isinstance(one, FUNCTIONS):
            self.touch(f"{base.name}.{name}", "writes", frame, one)
            return
        around = Frame(frame.module, f"{owner.name}.{name}", {**frame.scope}, inside=owner)
        around.scope |= self.parameters(one, Definition(around.name, one, frame.module, owner))
        manner: Manner = (
            "wraps" if hands_on(one, lambda call: self._reaches(call.func, original, around)) else "replaces"
        )
        takes = accepted_by(one, 0 if is_static(one) else 1)
        self.touch(f"{base.name}.{name}", manner, frame, one, takes)
        if isinstance(original.node, FUNCTIONS):
            theirs = self.inference.parameters(original.node, original.module, None)
            for own, parameter in zip(positional(one)[1:], positional(original.node)[1:], strict=False):
                self.news |= self.inference.learn(f"{owner.name}.{name}.{own}", theirs.get(parameter))

    def _function(self, statement: ast.FunctionDef | ast.AsyncFunctionDef, frame: Frame) -> None:
        found = Definition(f"{frame.name}.{statement.name}", statement, frame.module, frame.owner)
        if frame.copied or "." in frame.name.removeprefix(frame.module.name):
            self.extras[found] = Extra(frame.scope)
        for default in (*statement.args.defaults, *filter(None, statement.args.kw_defaults)):
            self.value(default, frame)
        kind: Type | None = Callable(found)
        for decorator in reversed(statement.decorator_list):
            kind = self._decorated(decorator, kind, frame) or kind
        if frame.owner is None:
            frame.scope[statement.name] = kind
        scope = frame.scope
        frame.later.append(lambda: self._read_function(found, scope, frame))

    def _read_function(self, found: Definition, outer: Scope, frame: Frame) -> None:
        assert isinstance(found.node, FUNCTIONS)
        scope = {**outer, **self.parameters(found.node, found)}
        inside = found.owner or frame.inside
        inner = Frame(frame.module, found.name, scope, inside=inside, copied=frame.copied)
        self.body(found, inner)

    def _decorated(self, decorator: ast.expr, kind: Type | None, frame: Frame) -> Type | None:
        """What a decorator makes of a function; None if that is the function as it is, or unknown."""
        if isinstance(decorator, ast.Call):
            made = self.call(decorator, frame, more=kind)
        else:
            made = self.value(decorator, frame)
        if not isinstance(made, Callable) or self.of_vllm(made) or not isinstance(made.definition.node, FUNCTIONS):
            return None
        return self._own(made, [kind], {}, frame)

    # Assignments.

    def _assignment(self, statement: ast.Assign | ast.AnnAssign, frame: Frame) -> None:
        if isinstance(statement, ast.AnnAssign):
            kind = self.value(statement.value, frame) if statement.value else None
            said = self.inference.annotation(statement.annotation, frame.module)
            if statement.value is not None or said is not None:
                self.assign(statement.target, kind or said, frame, statement.value)
            return
        kind = self.value(statement.value, frame)
        for target in statement.targets:
            self.assign(target, kind, frame, statement.value)

    def assign(self, target: ast.expr, kind: Type | None, frame: Frame, value: ast.expr | None = None) -> None:
        if isinstance(target, ast.Name):
            frame.scope[target.id] = kind
        elif isinstance(target, ast.Starred):
            self.assign(target.value, None, frame)
        elif isinstance(target, (ast.Tuple, ast.List)):
            self.unpack(kind, target, frame, len(target.elts))
            parts = value.elts if isinstance(value, (ast.Tuple, ast.List)) else []
            for at, part in enumerate(target.elts):
                self.assign(part, place_in(kind, at), frame, parts[at] if at < len(parts) else None)
        elif isinstance(target, ast.Attribute):
            self._assign_attribute(target, kind, frame, value)
        elif isinstance(target, ast.Subscript):
            self._assign_item(target, kind, frame)
        else:
            self.value(target, frame)

    def _assign_attribute(self, target: ast.Attribute, kind: Type | None, frame: Frame, value: ast.expr | None) -> None:
        holder = self.value(target.value, frame)
        if isinstance(holder, (Instance, Class, Namespace)) and not self.of_vllm(holder):
            self._assign_own(holder, target, kind, frame)
        elif self.put(holder, target.attr, kind, frame, target):
            self.follow(frame, target)
        elif holder is None and (self.is_code(kind) or _wraps_itself(target, value)):
            self.lose(f"sets `{target.attr}` of something unknown: `{ast.unparse(target)[:60]}`", frame, target)

    def _assign_own(
        self, holder: Instance | Class | Namespace, target: ast.Attribute, kind: Type | None, frame: Frame
    ) -> None:
        """An attribute of the runtime's own; it may have come from a base class in vLLM."""
        name = f"{definition_of(holder).name}.{target.attr}"
        bases = [one for one in self.universe.lineage(definition_of(holder)) if self.is_vllm(one.name)]
        theirs = next((base for base in bases if self.universe.class_member(base, target.attr)), None)
        if theirs is not None:
            self.put(Instance(theirs), target.attr, kind, frame, target)
        elif isinstance(target.value, ast.Name) and frame.copied:
            frame.scope[f"{target.value.id}.{target.attr}"] = kind
        self.news |= self.inference.learn(name, kind if not isinstance(kind, (Text, Foreign, Missing)) else None)

    def _assign_item(self, target: ast.Subscript, kind: Type | None, frame: Frame) -> None:
        at = self.value(target.slice, frame)
        if dotted(target.value) == "sys.modules":
            if isinstance(at, Text) and self.is_vllm(at.value):
                self.touch(at.value, "replaces", frame, target)
            elif not isinstance(at, Text):
                self.lose(f"sets a module whose name is not written out: `{ast.unparse(target)[:60]}`", frame, target)
            return
        holder = self.value(target.value, frame)
        if isinstance(holder, Items) and isinstance(target.value, ast.Name) and kind is not None:
            return
        if isinstance(target.value, ast.Call) and dotted(target.value.func) == "vars" and isinstance(at, Text):
            inner = self.value(target.value.args[0], frame) if target.value.args else None
            self.put(inner, at.value, kind, frame, target)


def _wraps_itself(target: ast.Attribute, value: ast.expr | None) -> bool:
    """``x.forward = made(x.forward)``."""
    return isinstance(value, ast.Call) and ast.unparse(target) in map(ast.unparse, value.args)


def _names_set(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.Assign):
        return [target.id for target in statement.targets if isinstance(target, ast.Name)]
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
        return [statement.target.id]
    return []
