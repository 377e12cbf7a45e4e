"""Calls: of vLLM, which are touches; of the runtime's own functions, which are read again with what they are given."""

from __future__ import annotations

import ast
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from patchkit.drift.code.frame import Extra, Frame
from patchkit.drift.code.notes import definition_of
from patchkit.drift.code.patches import How, Patches
from patchkit.drift.inference import (
    Callable,
    Class,
    Foreign,
    Instance,
    Missing,
    Namespace,
    Row,
    Table,
    Text,
    Type,
    is_static,
)
from patchkit.drift.package import FUNCTIONS, Definition, positional
from patchkit.drift.touches import Call, shape_of

DEEPEST = 5
"""Calls that are read again one inside the other."""
MOST = 20_000
"""Calls that are read again in one round."""
PUTTING = ("setattr", "object.__setattr__", "type.__setattr__")
GENERAL = ("setattr", "getattr", "import_module", "__import__", "wrap_function_wrapper", "patch", "object")
WRAPT = ("wrap_function_wrapper", "patch_function_wrapper", "wrap_object")
SAME = {
    "classmethod", "staticmethod", "property", "cache", "lru_cache", "cached_property", "contextmanager", "wraps",
    "update_wrapper", "no_grad", "inference_mode", "compile", "MethodType", "deprecated", "asynccontextmanager",
}  # fmt: skip
"""What these make of a function takes the same."""

Named = Mapping[str | None, Type | None]


@dataclass
class Calls(Patches):
    """What calls touch, and what they return."""

    depth: int = 0
    again: int = 0
    _under_way: set[str] = field(default_factory=set)
    _general: dict[ast.AST, bool] = field(default_factory=dict)

    @abstractmethod
    def body(self, found: Definition, frame: Frame) -> None:
        """Read the statements of a function, then those of the functions in it."""

    def call(self, written: ast.Call, frame: Frame, more: Type | None = None) -> Type | None:
        """The type of what a call returns; notes what it touches.

        Args:
            more: one more argument: the function that the call decorates.
        """
        name = ast.unparse(written.func)
        arguments = [self.value(one.value if isinstance(one, ast.Starred) else one, frame) for one in written.args]
        named = {one.arg: self.value(one.value, frame) for one in written.keywords}
        known = self._builtin(name, written, arguments, named, frame)
        if known is not None:
            return known[0]
        function = self._callee(written.func, frame)
        same = self._same(written, name, arguments)
        if same is not None:
            return same
        before = self.noted
        returned = self.applied(function, arguments, named, written, frame)
        if self.noted == before or function is None:
            kinds, texts = ([*arguments, more], [*written.args, written]) if more else (arguments, written.args)
            how: How = "by wrapt" if name.rpartition(".")[2] in WRAPT else "or what it makes"
            if self.side_by_side(texts, kinds, named, frame, how):
                self.follow(frame, written)
            elif self._names_vllm(name, function, kinds):
                self.lose(f"names something of vLLM to `{name}`", frame, written)
        return returned

    def applied(
        self, function: Type | None, arguments: Sequence[Type | None], named: Named, written: ast.Call, frame: Frame
    ) -> Type | None:
        """Call what has this type with these arguments."""
        shape = shape_of(written)
        if isinstance(function, Callable):
            self._note_call(function, shape, written, frame)
            if self._is_own(function):
                return self._own(function, arguments, named, frame)
        elif isinstance(function, Class):
            self._construct(function, arguments, named, written, frame)
        elif isinstance(function, Missing):
            self.touch(function.symbol, "calls", frame, written, shape)
            return None
        elif isinstance(function, Instance):
            called, methods = self.inference.callables(function)
            if methods and self.of_vllm(function):
                self.touch(f"{function.of.name}.{called}", "calls", frame, written, shape)
            for method in methods:
                if self._is_own(method):
                    self._bind(method, arguments, named, frame)
        elif isinstance(function, Foreign):
            return function if all(isinstance(one, (Foreign, Text)) for one in (*arguments, *named.values())) else None
        return self.inference.called(function)

    # Calls that are known by their names.

    def _builtin(
        self, name: str, written: ast.Call, arguments: list[Type | None], named: Named, frame: Frame
    ) -> tuple[Type | None] | None:
        last = name.rpartition(".")[2]
        if len(arguments) == 3 and (name in PUTTING or last == "setattr" or name.endswith("patch.object")):
            self._set(arguments, written, frame)
            return (None,)
        if name in ("getattr", "hasattr") and len(arguments) > 1:
            return (self._get(arguments, written, frame),)
        if last in ("import_module", "__import__") and arguments:
            return (self._imported(arguments[0], written, frame),)
        if last == "partial" and isinstance(arguments[0] if arguments else None, Callable):
            return (self._partial(arguments, named, frame),)
        if name in ("exec", "eval", "compile"):
            self.lose(f"`{name}` runs text", frame, written)
            return (None,)
        if last in ("getsource", "getsourcelines") and len(arguments) == 1:
            if isinstance(arguments[0], (Class, Callable, Namespace)) and self.of_vllm(arguments[0]):
                self.touch(definition_of(arguments[0]).name, "text", frame, written)
            return (None,)
        if name == "type" and len(arguments) == 1:
            held = arguments[0]
            return (Class(held.of) if isinstance(held, Instance) else None,)
        if name == "super":
            return (None,)
        if name == "vars" and arguments:
            return (arguments[0],)
        if (
            last in ("get", "pop")
            and arguments
            and isinstance(written.func, ast.Attribute)
            and is_dict(written.func.value)
        ):
            held = self.value(written.func.value, frame)
            return (self.member(held, arguments[0].value) if isinstance(arguments[0], Text) else None,)
        if last in ("items", "values", "keys") and isinstance(written.func, ast.Attribute):
            held = self.value(written.func.value, frame)
            return (_entries(held, last),) if isinstance(held, Table) else None
        if name == "zip" and arguments and all(isinstance(one, Row) for one in arguments):
            return (
                Row(
                    tuple(
                        Row(pair)
                        for pair in zip(*(one.places for one in arguments if isinstance(one, Row)), strict=False)
                    )
                ),
            )
        if last == "replace" and arguments and isinstance(arguments[0], Instance) and self.of_vllm(arguments[0]):
            for field_name in filter(None, named):  # dataclasses.replace
                self.touch(f"{arguments[0].of.name}.{field_name}", "writes", frame, written)
            return (arguments[0],)
        return None

    def _set(self, arguments: list[Type | None], written: ast.Call, frame: Frame) -> None:
        holder, name, by = arguments
        if isinstance(holder, Text):
            holder = self.named(holder.value) if self.is_vllm(holder.value) else Foreign()
        own = isinstance(holder, Foreign) or (
            isinstance(holder, (Instance, Class, Namespace)) and not self.of_vllm(holder)
        )
        plain = holder is None and isinstance(written.args[2], (ast.Constant, ast.JoinedStr))
        if own or plain or (isinstance(by, Callable) and self.of_vllm(by) and not isinstance(name, Text)):
            return  # the runtime's own, or vLLM's function put back
        if isinstance(name, Text) and holder is not None and self.put(holder, name.value, by, frame, written):
            self.follow(frame, written)
        else:
            unknown = "an attribute whose name is not written out" if holder is not None else "something unknown"
            self.lose(f"sets {unknown}: `{ast.unparse(written)[:60]}`", frame, written)

    def _get(self, arguments: list[Type | None], written: ast.Call, frame: Frame) -> Type | None:
        if isinstance(arguments[1], Text):
            self.read_member(arguments[0], arguments[1].value, frame, written)
            self.follow(frame, written)
            return (
                self.member(arguments[0], arguments[1].value) if self._has(arguments[0], arguments[1].value) else None
            )
        if isinstance(arguments[0], (Class, Namespace)) and self.of_vllm(arguments[0]):
            self.lose(
                f"reads an attribute whose name is not written out: `{ast.unparse(written)[:60]}`", frame, written
            )
        return None

    def _has(self, holder: Type | None, name: str) -> bool:
        return not isinstance(self.member(holder, name), Missing)

    def _imported(self, name: Type | None, written: ast.Call, frame: Frame) -> Type | None:
        if not isinstance(name, Text):
            self.lose(f"imports what is not written out: `{ast.unparse(written)[:60]}`", frame, written)
            return None
        self.follow(frame, written)
        if not self.universe.package(name.value):
            return Foreign()
        return self.named(name.value)

    def _partial(self, arguments: list[Type | None], named: Named, frame: Frame) -> Type:
        made = arguments[0]
        assert isinstance(made, Callable)
        if not self._is_own(made):
            return made
        self._bind(made, arguments[1:], named, frame)
        old, before = made.definition, self.extras.get(made.definition, Extra())
        found = Definition(old.name, old.node, old.module, old.owner)
        given = (*before.given, *arguments[1:])
        keywords = (*before.named, *((name, kind) for name, kind in named.items() if name))
        self.extras[found] = Extra(before.scope, given, keywords, before.static, before.bound)
        return Callable(found, made.bound)

    def _same(self, written: ast.Call, name: str, arguments: list[Type | None]) -> Type | None:
        """The function that a call hands back with the same parameters."""
        inner = ast.unparse(written.func.func) if isinstance(written.func, ast.Call) else name
        kind = arguments[0] if arguments else None
        if inner.rpartition(".")[2] not in SAME or not isinstance(kind, Callable) or not self._is_own(kind):
            return None
        before = self.extras.get(kind.definition, Extra())
        old = kind.definition
        found = Definition(old.name, old.node, old.module, old.owner)
        self.extras[found] = Extra(
            before.scope,
            before.given,
            before.named,
            before.static or name == "staticmethod",
            inner.endswith("MethodType"),
        )
        return Callable(found, kind.bound)

    def _names_vllm(self, name: str, function: Type | None, kinds: Sequence[Type | None]) -> bool:
        """Whether a call that nothing is known of gets the full name of something in vLLM, modules apart."""
        if name.rpartition(".")[2] in ("init_logger", "getLogger", "find_spec", "version"):
            return False
        if isinstance(function, (Callable, Class, Instance)) and not self.of_vllm(function):
            return False
        texts = [one.value for one in kinds if isinstance(one, Text) and self._is_target(one.value)]
        found = [self.universe.find(text) for text in texts]
        return any(one is not None and not isinstance(one.node, ast.Module) for one in found)

    # What is called.

    def _callee(self, written: ast.expr, frame: Frame) -> Type | None:
        """What is called; a method is noted as called, not as read."""
        if not isinstance(written, ast.Attribute):
            return self.value(written, frame)
        if is_super(written.value):
            return self.of_super(written.attr, frame)
        dotted = f"{ast.unparse(written.value)}.{written.attr}"
        if dotted in frame.scope:
            return frame.scope[dotted]
        holder = self.value(written.value, frame)
        kind = self.member(holder, written.attr)
        if not isinstance(kind, (Callable, Class, Missing)):
            self.read_member(holder, written.attr, frame, written)
        elif isinstance(kind, Callable) and isinstance(holder, (Instance, Class)) and self.of_vllm(holder):
            found = kind.definition  # by its class there
            symbol = f"{definition_of(holder).name}.{written.attr}"
            kind = Callable(Definition(symbol, found.node, found.module, found.owner), kind.bound)
        return kind

    def of_super(self, name: str, frame: Frame) -> Type | None:
        for base in self.universe.bases(frame.inside) if frame.inside else []:
            found = self.universe.class_member(base, name)
            if found is not None and isinstance(found.node, FUNCTIONS):
                symbol = f"{base.name}.{name}" if self.is_vllm(base.name) else found.name
                return Callable(Definition(symbol, found.node, found.module, found.owner), bound=True)
        return None

    def _note_call(self, function: Callable, shape: Call, written: ast.Call, frame: Frame) -> None:
        found = function.definition
        unbound = found.owner is not None and not function.bound
        if unbound and isinstance(found.node, FUNCTIONS) and not is_static(found.node):
            shape = Call(max(shape.positional - 1, 0), shape.keywords, shape.rest, shape.named)
        self.touch(found.name, "calls", frame, written, shape)

    def _construct(
        self, function: Class, arguments: Sequence[Type | None], named: Named, written: ast.Call, frame: Frame
    ) -> None:
        self.touch(function.definition.name, "constructs", frame, written, shape_of(written))
        found = self.universe.class_member(function.definition, "__init__")
        if found and isinstance(found.node, FUNCTIONS):
            if self._is_own(Callable(found)):
                self._own(Callable(found, bound=True), [*arguments], named, frame, Instance(function.definition))
            elif not self.of_vllm(function):
                self.touch(found.name, "calls", frame, written, shape_of(written))
            return
        assert isinstance(function.definition.node, ast.ClassDef)  # a dataclass or a named tuple: its fields in order
        fields = [
            one.target.id
            for one in function.definition.node.body
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
        ]
        for name, kind in [*zip(fields, arguments, strict=False), *named.items()]:
            if not self.of_vllm(function):
                self.learn(f"{function.definition.name}.{name}", kind, frame)

    def _is_own(self, function: Callable) -> bool:
        return not self.of_vllm(function) and isinstance(function.definition.node, FUNCTIONS)

    # The runtime's own functions.

    def _own(
        self,
        function: Callable,
        arguments: list[Type | None] | Sequence[Type | None],
        named: Named,
        frame: Frame,
        this: Type | None = None,
    ) -> Type | None:
        self._bind(function, arguments, named, frame)
        extra = self.extras.get(function.definition)
        given = (*arguments, *named.values())
        telling = extra is not None or any(map(self._tells, given))
        telling = telling or (self._is_general(function) and any(isinstance(one, (Text, Callable)) for one in given))
        name = function.definition.name
        if not telling or self.muted or self.depth >= DEEPEST or self.again >= MOST or name in self._under_way:
            return self.inference.called(function)
        self.again, self.depth = self.again + 1, self.depth + 1
        self._under_way.add(name)
        inner = self._entered(function, extra or Extra(), arguments, named, this)
        self.body(function.definition, inner)
        self._under_way.discard(name)
        self.depth -= 1
        return next((one for one in inner.returned if one is not None), None) or self.inference.called(function)

    def _entered(
        self, function: Callable, extra: Extra, arguments: Sequence[Type | None], named: Named, this: Type | None
    ) -> Frame:
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
            scope[found.node.args.vararg.arg] = Row(tuple(rest))
        taken = {*names, *(one.arg for one in found.node.args.kwonlyargs)}
        scope |= {name: kind for name, kind in (*extra.named, *named.items()) if name in taken and kind is not None}
        return Frame(found.module, found.name, scope, inside=found.owner, copied=True)

    def _is_general(self, function: Callable) -> bool:
        """Whether a function sets, gets or imports what its arguments name."""
        node = function.definition.node
        if node not in self._general:
            calls = [one for one in ast.walk(node) if isinstance(one, ast.Call)]
            self._general[node] = any(ast.unparse(one.func).rpartition(".")[2] in GENERAL for one in calls)
        return self._general[node]

    def _tells(self, kind: Type | None) -> bool:
        """Whether an argument is such that a function is worth reading again with it."""
        if isinstance(kind, Text):
            return self._is_target(kind.value) or kind.value == self.top
        if isinstance(kind, Row):
            return any(map(self._tells, kind.places))
        if isinstance(kind, Table):
            return any(map(self._tells, (*kind.keys, *kind.values)))
        return isinstance(kind, (Class, Namespace, Missing, Callable)) and self.of_vllm(kind)

    def _bind(self, function: Callable, arguments: Sequence[Type | None], named: Named, frame: Frame) -> None:
        """Learn the parameters of one of the runtime's own functions from a call of it."""
        node, extra = function.definition.node, self.extras.get(function.definition, Extra())
        if not self._is_own(function):
            return
        assert isinstance(node, FUNCTIONS)
        parameters = positional(node)[(1 if function.bound else 0) + len(extra.given) :]
        for parameter, kind in [*zip(parameters, arguments, strict=False), *named.items()]:
            self.learn(f"{function.definition.name}.{parameter}", kind, frame)


def is_dict(written: ast.expr) -> bool:
    """``x.__dict__`` or ``vars(x)``."""
    if isinstance(written, ast.Call):
        return ast.unparse(written.func) == "vars"
    return isinstance(written, ast.Attribute) and written.attr == "__dict__"


def is_super(written: ast.expr) -> bool:
    return isinstance(written, ast.Call) and isinstance(written.func, ast.Name) and written.func.id == "super"


def _defaults(node: ast.AST) -> dict[str, Type | None]:
    """Parameters whose default is a text."""
    assert isinstance(node, FUNCTIONS)
    names, values = positional(node), node.args.defaults
    pairs = [*zip(names[len(names) - len(values) :], values, strict=True)]
    pairs += [(one.arg, value) for one, value in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if value]
    return {
        name: Text(value.value)
        for name, value in pairs
        if isinstance(value, ast.Constant) and isinstance(value.value, str)
    }


def _entries(table: Table, how: str) -> Row:
    if how == "items":
        return Row(tuple(Row(pair) for pair in zip(table.keys, table.values, strict=True)))
    return Row(table.values if how == "values" else table.keys)
