"""Statements: what they bind, patch and derive."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from patchkit.drift.code.body import Body, Extra, Scope, dotted
from patchkit.drift.code.expressions import Expressions, place_in
from patchkit.drift.code.notes import definition_of
from patchkit.drift.code.replacements import hands_on
from patchkit.drift.inference import Callable, Class, Foreign, Instance, Items, Missing, Namespace, Text, Type
from patchkit.drift.module import Module, origin_of
from patchkit.drift.package import Definition
from patchkit.drift.syntax import FUNCTIONS, is_static, positional
from patchkit.drift.touch import Manner, accepted_by


@dataclass
class Reader(Expressions):
    """One round through the runtime's code."""

    def read(self, module: Module) -> None:
        """A module, from its first statement to the bodies of its functions."""
        body = Body(module, module.name, {})
        for statement in module.tree.body:
            self.statement(statement, body)
        self.around[module.name] = body.scope
        self._read_later(body)

    def body(self, found: Definition, body: Body) -> None:
        assert isinstance(found.node, FUNCTIONS)
        self.statements(found.node.body, body)
        self._read_later(body)

    @staticmethod
    def _read_later(body: Body) -> None:
        while body.later:
            body.later.pop(0)()

    def statements(self, lines: Sequence[ast.stmt], body: Body) -> None:
        for statement in lines:
            self.statement(statement, body)

    def statement(self, statement: ast.stmt, body: Body) -> None:
        try:
            self._statement(statement, body)
        except RecursionError:
            self.lose("is nested too deeply to be read", body, statement)

    def _statement(self, statement: ast.stmt, body: Body) -> None:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            self._import(statement, body)
        elif isinstance(statement, ast.ClassDef):
            self._class(statement, body)
        elif isinstance(statement, FUNCTIONS):
            self._function(statement, body)
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            self._assignment(statement, body)
        elif isinstance(statement, (ast.For, ast.AsyncFor)):
            for each in self.each(self.value(statement.iter, body), statement, body):
                self.assign(statement.target, each, body)
                self.statements(statement.body, body)
            self.statements(statement.orelse, body)
        elif isinstance(statement, ast.Return):
            kind = self.value(statement.value, body) if statement.value else None
            body.returned.append(kind)
            self.learn(body.name, kind, body)
        elif isinstance(statement, ast.If):
            self.value(statement.test, body)
            self._branches([statement.body, statement.orelse], body)
        elif isinstance(statement, ast.Try):
            handlers = [handler.body for handler in statement.handlers]
            self._branches([[*statement.body, *statement.orelse], *handlers], body)
            self.statements(statement.finalbody, body)
        else:
            self._others(statement, body)

    def _others(self, holder: ast.AST, body: Body) -> None:
        for child in ast.iter_child_nodes(holder):
            if isinstance(child, ast.stmt):
                self.statement(child, body)
            elif isinstance(child, ast.expr):
                self.value(child, body)
            elif isinstance(child, ast.withitem):
                kind = self.value(child.context_expr, body)
                if child.optional_vars:
                    self.assign(child.optional_vars, kind, body)
            elif not isinstance(child, (ast.expr_context, ast.operator)):
                self._others(child, body)

    def _branches(self, bodies: Sequence[Sequence[ast.stmt]], body: Body) -> None:
        """One or the other is run: behind them, a name is what any of them makes known of it."""
        before, scopes = body.scope, []
        for branch in bodies:
            body.scope = dict(before)
            self.statements(branch, body)
            scopes.append(body.scope)
        names = dict.fromkeys(name for scope in scopes for name in scope)
        merged: Scope = {name: self._either([scope.get(name) for scope in scopes]) for name in names}
        before.clear()  # the functions in it were given this very scope
        before.update(merged)
        body.scope = before

    def _either(self, kinds: list[Type | None]) -> Type | None:
        return self.likeliest([kind for kind in kinds if not isinstance(kind, Missing)]) or self.likeliest(kinds)

    # Imports.

    def _import(self, statement: ast.Import | ast.ImportFrom, body: Body) -> None:
        for alias in statement.names:
            if isinstance(statement, ast.Import):
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                kind = self._module(whole)
                if self.is_vllm(alias.name) and isinstance(self._module(alias.name), Missing):
                    self.touch(alias.name, "imports", body, statement)
                body.scope[alias.asname or whole] = kind
                continue
            origin = origin_of(statement, body.module)
            if alias.name == "*":
                continue
            body.scope[alias.asname or alias.name] = self._member_of_module(origin, alias.name)
            self.touch(f"{origin}.{alias.name}", "imports", body, alias)

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

    def _class(self, statement: ast.ClassDef, body: Body) -> None:
        found = Definition(f"{body.name}.{statement.name}", statement, body.module)
        for decorator in statement.decorator_list:
            self.value(decorator, body)
        bases = [self.value(base, body) for base in statement.bases]
        for keyword in statement.keywords:
            self.value(keyword.value, body)
        self.universe.local_bases[statement] = [one.definition for one in bases if isinstance(one, Class)]
        body.scope[statement.name] = Class(found)
        for base, kind in zip(statement.bases, bases, strict=True):
            if isinstance(kind, Missing):
                self.touch(kind.symbol, "derives", body, base)
            elif isinstance(kind, Class):
                self.touch(kind.definition.name, "derives", body, base)
        scope = dict(body.scope)
        inner = Body(body.module, found.name, scope, found, found, later=body.later, copied=body.copied)
        self.statements(statement.body, inner)
        self._overrides(statement, found, body)

    def _overrides(self, statement: ast.ClassDef, owner: Definition, body: Body) -> None:
        """Methods and attributes that stand in the place of those of a base class in vLLM."""
        bases = [one for one in self.universe.lineage(owner) if self.is_vllm(one.name)]
        for one in statement.body if bases else []:
            names = [one.name] if isinstance(one, FUNCTIONS) else _names_set(one)
            for name in names:
                base = next((base for base in bases if self.universe.class_member(base, name)), None)
                if base is not None:
                    self._override(base, name, one, owner, body)

    def _override(self, base: Definition, name: str, one: ast.stmt, owner: Definition, body: Body) -> None:
        original = self.universe.class_member(base, name)
        assert original is not None
        if not isinstance(one, FUNCTIONS):
            self.touch(f"{base.name}.{name}", "writes", body, one)
            return
        around = Body(body.module, f"{owner.name}.{name}", {**body.scope}, inside=owner)
        around.scope |= self.parameters(one, Definition(around.name, one, body.module, owner))
        manner: Manner = (
            "wraps" if hands_on(one, lambda call: self._reaches(call.func, original, around)) else "replaces"
        )
        takes = accepted_by(one, 0 if is_static(one) else 1)
        self.touch(f"{base.name}.{name}", manner, body, one, takes)
        if isinstance(original.node, FUNCTIONS):
            theirs = self.inference.parameters(original.node, original.module, None)
            for own, parameter in zip(positional(one)[1:], positional(original.node)[1:], strict=False):
                self.news |= self.inference.learn(f"{owner.name}.{name}.{own}", theirs.get(parameter))

    def _function(self, statement: ast.FunctionDef | ast.AsyncFunctionDef, body: Body) -> None:
        found = Definition(f"{body.name}.{statement.name}", statement, body.module, body.owner)
        if body.copied or "." in body.name.removeprefix(body.module.name):
            self.extras[found] = Extra(body.scope)
        for default in (*statement.args.defaults, *filter(None, statement.args.kw_defaults)):
            self.value(default, body)
        kind: Type | None = Callable(found)
        for decorator in reversed(statement.decorator_list):
            kind = self._decorated(decorator, kind, body) or kind
        if body.owner is None:
            body.scope[statement.name] = kind
        scope = body.scope
        body.later.append(lambda: self._read_function(found, scope, body))

    def _read_function(self, found: Definition, outer: Scope, body: Body) -> None:
        assert isinstance(found.node, FUNCTIONS)
        scope = {**outer, **self.parameters(found.node, found)}
        inside = found.owner or body.inside
        inner = Body(body.module, found.name, scope, inside=inside, copied=body.copied)
        self.body(found, inner)

    def _decorated(self, decorator: ast.expr, kind: Type | None, body: Body) -> Type | None:
        """What a decorator makes of a function; None if that is the function as it is, or unknown."""
        made = self.call(decorator, body, more=kind) if isinstance(decorator, ast.Call) else self.value(decorator, body)
        if not isinstance(made, Callable) or self.of_vllm(made) or not isinstance(made.definition.node, FUNCTIONS):
            return None
        return self._own(made, [kind], {}, body)

    # Assignments.

    def _assignment(self, statement: ast.Assign | ast.AnnAssign, body: Body) -> None:
        if isinstance(statement, ast.AnnAssign):
            kind = self.value(statement.value, body) if statement.value else None
            said = self.inference.annotation(statement.annotation, body.module)
            if statement.value is not None or said is not None:
                self.assign(statement.target, kind or said, body, statement.value)
            return
        kind = self.value(statement.value, body)
        for target in statement.targets:
            self.assign(target, kind, body, statement.value)

    def assign(self, target: ast.expr, kind: Type | None, body: Body, value: ast.expr | None = None) -> None:
        if isinstance(target, ast.Name):
            body.scope[target.id] = kind
        elif isinstance(target, ast.Starred):
            self.assign(target.value, None, body)
        elif isinstance(target, (ast.Tuple, ast.List)):
            self.unpack(kind, target, body, len(target.elts))
            parts = value.elts if isinstance(value, (ast.Tuple, ast.List)) else []
            for at, part in enumerate(target.elts):
                self.assign(part, place_in(kind, at), body, parts[at] if at < len(parts) else None)
        elif isinstance(target, ast.Attribute):
            self._assign_attribute(target, kind, body, value)
        elif isinstance(target, ast.Subscript):
            self._assign_item(target, kind, body)
        else:
            self.value(target, body)

    def _assign_attribute(self, target: ast.Attribute, kind: Type | None, body: Body, value: ast.expr | None) -> None:
        holder = self.value(target.value, body)
        if isinstance(holder, (Instance, Class, Namespace)) and not self.of_vllm(holder):
            self._assign_own(holder, target, kind, body)
        elif self.put(holder, target.attr, kind, body, target):
            self.follow(body, target)
        elif holder is None and (self.is_code(kind) or _wraps_itself(target, value)):
            self.lose(f"sets `{target.attr}` of something unknown: `{ast.unparse(target)[:60]}`", body, target)

    def _assign_own(
        self, holder: Instance | Class | Namespace, target: ast.Attribute, kind: Type | None, body: Body
    ) -> None:
        """An attribute of the runtime's own; it may have come from a base class in vLLM."""
        name = f"{definition_of(holder).name}.{target.attr}"
        bases = [one for one in self.universe.lineage(definition_of(holder)) if self.is_vllm(one.name)]
        theirs = next((base for base in bases if self.universe.class_member(base, target.attr)), None)
        if theirs is not None:
            self.put(Instance(theirs), target.attr, kind, body, target)
        elif isinstance(target.value, ast.Name) and body.copied:
            body.scope[f"{target.value.id}.{target.attr}"] = kind
        self.news |= self.inference.learn(name, kind if not isinstance(kind, (Text, Foreign, Missing)) else None)

    def _assign_item(self, target: ast.Subscript, kind: Type | None, body: Body) -> None:
        at = self.value(target.slice, body)
        if dotted(target.value) == "sys.modules":
            if isinstance(at, Text) and self.is_vllm(at.value):
                self.touch(at.value, "replaces", body, target)
            elif not isinstance(at, Text):
                self.lose(f"sets a module whose name is not written out: `{ast.unparse(target)[:60]}`", body, target)
            return
        holder = self.value(target.value, body)
        if isinstance(holder, Items) and isinstance(target.value, ast.Name) and kind is not None:
            return
        if isinstance(target.value, ast.Call) and dotted(target.value.func) == "vars" and isinstance(at, Text):
            inner = self.value(target.value.args[0], body) if target.value.args else None
            self.put(inner, at.value, kind, body, target)


def _wraps_itself(target: ast.Attribute, value: ast.expr | None) -> bool:
    """``x.forward = made(x.forward)``."""
    return isinstance(value, ast.Call) and ast.unparse(target) in map(ast.unparse, value.args)


def _names_set(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.Assign):
        return [target.id for target in statement.targets if isinstance(target, ast.Name)]
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
        return [statement.target.id]
    return []
