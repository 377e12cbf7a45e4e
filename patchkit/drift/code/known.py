"""Calls of functions that everybody knows, such as ``setattr``, ``import_module`` and ``partial``."""

from __future__ import annotations

import ast
from collections.abc import Callable as Handler
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from patchkit.drift.code.body import Body, Extra, dotted
from patchkit.drift.code.notes import definition_of
from patchkit.drift.code.patches import Patches
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
from patchkit.drift.syntax import FUNCTIONS, positional

Named = Mapping[str | None, Type | None]
Answer = tuple[Type | None] | None
"""What a call returns, in a tuple; None if it is another function of the same name."""
PUTTING = ("setattr", "object.__setattr__", "type.__setattr__")
SAME = {
    "classmethod", "staticmethod", "property", "cache", "lru_cache", "cached_property", "contextmanager", "wraps",
    "update_wrapper", "no_grad", "inference_mode", "compile", "MethodType", "deprecated", "asynccontextmanager",
}  # fmt: skip
"""What these make of a function takes the same."""


@dataclass(frozen=True)
class KnownCall:
    """A call: the name of what is called as it is written, the types of what it is given, where it stands."""

    name: str
    written: ast.Call
    given: list[Type | None]
    named: Named
    body: Body

    @property
    def last(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def shown(self) -> str:
        return f"`{ast.unparse(self.written)[:60]}`"


@dataclass
class Known(Patches):
    """What those calls touch, and what they return."""

    def known(self, call: KnownCall) -> Answer:
        if len(call.given) == 3 and (
            call.name in PUTTING or call.last == "setattr" or call.name.endswith("patch.object")
        ):
            return self._set(call)
        way = KNOWN.get(call.name) or LAST.get(call.last)
        return way(self, call) if way and (call.given or call.name == "super" or call.last in ENTRIES) else None

    # What they touch.

    def _set(self, call: KnownCall) -> Answer:
        holder, name, by = call.given
        if isinstance(holder, Text):
            holder = self.named(holder.value) if self.is_vllm(holder.value) else Foreign()
        own = isinstance(holder, Foreign) or (
            isinstance(holder, (Instance, Class, Namespace)) and not self.of_vllm(holder)
        )
        plain = holder is None and isinstance(call.written.args[2], (ast.Constant, ast.JoinedStr))
        if own or plain or (isinstance(by, Callable) and self.of_vllm(by) and not isinstance(name, Text)):
            return (None,)  # the runtime's own, or vLLM's function put back
        if isinstance(name, Text) and holder is not None and self.put(holder, name.value, by, call.body, call.written):
            self.follow(call.body, call.written)
        else:
            unknown = "an attribute whose name is not written out" if holder is not None else "something unknown"
            self.lose(f"sets {unknown}: {call.shown}", call.body, call.written)
        return (None,)

    def _get(self, call: KnownCall) -> Answer:
        if len(call.given) < 2:
            return None
        holder, name = call.given[:2]
        if isinstance(name, Text):
            self.read_member(holder, name.value, call.body, call.written)
            self.follow(call.body, call.written)
            kind = self.member(holder, name.value)
            return (None if isinstance(kind, Missing) else kind,)
        if isinstance(holder, (Class, Namespace)) and self.of_vllm(holder):
            self.lose(f"reads an attribute whose name is not written out: {call.shown}", call.body, call.written)
        return (None,)

    def _imported(self, call: KnownCall) -> Answer:
        name = call.given[0]
        if not isinstance(name, Text):
            self.lose(f"imports what is not written out: {call.shown}", call.body, call.written)
            return (None,)
        self.follow(call.body, call.written)
        return (self.named(name.value) if self.universe.package(name.value) else Foreign(),)

    def _runs_text(self, call: KnownCall) -> Answer:
        self.lose(f"`{call.name}` runs text", call.body, call.written)
        return (None,)

    def _source_of(self, call: KnownCall) -> Answer:
        held = call.given[0]
        if isinstance(held, (Class, Callable, Namespace)) and self.of_vllm(held):
            self.touch(definition_of(held).name, "text", call.body, call.written)
        return (None,)

    def _replaced(self, call: KnownCall) -> Answer:
        held = call.given[0]
        if not isinstance(held, Instance) or not self.of_vllm(held):
            return None
        for name in filter(None, call.named):
            self.touch(f"{held.of.name}.{name}", "writes", call.body, call.written)
        return (held,)

    # What they return.

    def _type_of(self, call: KnownCall) -> Answer:
        held = call.given[0]
        return (Class(held.of) if isinstance(held, Instance) else None,) if len(call.given) == 1 else None

    def _unknown(self, call: KnownCall) -> Answer:
        return (None,)

    def _itself(self, call: KnownCall) -> Answer:
        return (call.given[0],)

    def _out_of_dict(self, call: KnownCall) -> Answer:
        """``x.__dict__.get("name")``."""
        holder, name = call.written.func, call.given[0]
        if not isinstance(holder, ast.Attribute) or not is_dict(holder.value):
            return None
        return (self.member(self.value(holder.value, call.body), name.value) if isinstance(name, Text) else None,)

    def _static(self, call: KnownCall) -> Answer:
        """``inspect.getattr_static(x, "name")``: as out of the dictionaries of x and of what it inherits from."""
        if len(call.given) < 2 or not isinstance(call.given[1], Text):
            return None
        return (self.member(call.given[0], call.given[1].value),)

    def _entries(self, call: KnownCall) -> Answer:
        if not isinstance(call.written.func, ast.Attribute):
            return None
        held = self.value(call.written.func.value, call.body)
        if not isinstance(held, Table):
            return None
        pairs = tuple(TupleType(pair) for pair in zip(held.keys, held.values, strict=True))
        return (TupleType({"items": pairs, "values": held.values, "keys": held.keys}[call.last]),)

    def _zipped(self, call: KnownCall) -> Answer:
        rows = [one.places for one in call.given if isinstance(one, TupleType)]
        return (TupleType(tuple(map(TupleType, zip(*rows, strict=False)))),) if len(rows) == len(call.given) else None

    def _partial(self, call: KnownCall) -> Answer:
        made, *given = call.given
        if not isinstance(made, Callable):
            return None
        if not self.is_own(made):
            return (made,)
        self.bind(made, given, call.named, call.body)
        old, before = made.definition, self.extras.get(made.definition, Extra())
        found = Definition(old.name, old.node, old.module, old.owner)
        keywords = (*before.named, *((name, kind) for name, kind in call.named.items() if name))
        self.extras[found] = Extra(before.scope, (*before.given, *given), keywords, before.static, before.bound)
        return (Callable(found, made.bound),)

    def same(self, written: ast.Call, name: str, arguments: list[Type | None]) -> Type | None:
        """The function that a call hands back with the same parameters."""
        inner = dotted(written.func.func) if isinstance(written.func, ast.Call) else name
        kind = arguments[0] if arguments else None
        if inner.rpartition(".")[2] not in SAME or not isinstance(kind, Callable) or not self.is_own(kind):
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

    def names_vllm(self, name: str, function: Type | None, kinds: Sequence[Type | None]) -> bool:
        """Whether a call that nothing is known of gets the full name of something in vLLM, modules apart."""
        if name.rpartition(".")[2] in ("init_logger", "getLogger", "find_spec", "version"):
            return False
        if isinstance(function, (Callable, Class, Instance)) and not self.of_vllm(function):
            return False
        texts = [one.value for one in kinds if isinstance(one, Text) and self._is_target(one.value)]
        found = [self.universe.find(text) for text in texts]
        return any(one is not None and not isinstance(one.node, ast.Module) for one in found)

    # The runtime's own.

    def is_own(self, function: Callable) -> bool:
        return not self.of_vllm(function) and isinstance(function.definition.node, FUNCTIONS)

    def bind(self, function: Callable, arguments: Sequence[Type | None], named: Named, body: Body) -> None:
        """Learn the parameters of one of the runtime's own functions from a call of it."""
        node, extra = function.definition.node, self.extras.get(function.definition, Extra())
        if not self.is_own(function):
            return
        assert isinstance(node, FUNCTIONS)
        parameters = positional(node)[(1 if function.bound else 0) + len(extra.given) :]
        for parameter, kind in [*zip(parameters, arguments, strict=False), *named.items()]:
            self.learn(f"{function.definition.name}.{parameter}", kind, body)


def is_dict(written: ast.expr) -> bool:
    """``x.__dict__`` or ``vars(x)``."""
    if isinstance(written, ast.Call):
        return dotted(written.func) == "vars"
    return isinstance(written, ast.Attribute) and written.attr == "__dict__"


Way = Handler[[Known, KnownCall], Answer]
ENTRIES = ("items", "values", "keys")
KNOWN: dict[str, Way] = {
    "getattr": Known._get,
    "hasattr": Known._get,
    "delattr": Known._unknown,  # as with the statement `del`, what was set before is taken away
    "exec": Known._runs_text,
    "eval": Known._runs_text,
    "compile": Known._runs_text,
    "type": Known._type_of,
    "super": Known._unknown,
    "vars": Known._itself,
    "zip": Known._zipped,
}
"""By the whole name."""
LAST: dict[str, Way] = {
    "import_module": Known._imported,
    "__import__": Known._imported,
    "partial": Known._partial,
    "getattr_static": Known._static,
    "getsource": Known._source_of,
    "getsourcelines": Known._source_of,
    "get": Known._out_of_dict,
    "pop": Known._out_of_dict,
    "replace": Known._replaced,
    **dict.fromkeys(ENTRIES, Known._entries),
}
"""By the last word of the name."""
