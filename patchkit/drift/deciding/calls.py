"""What calls come to."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from patchkit.drift.deciding import operations
from patchkit.drift.deciding.facts import unset
from patchkit.drift.deciding.frames import Exit, Frame, Given, joined, whys
from patchkit.drift.deciding.phrases import last, shown
from patchkit.drift.deciding.relevance import is_harmless, is_super, makes
from patchkit.drift.deciding.values import (
    FALSE,
    NONE,
    TRUE,
    Atom,
    Constant,
    Items,
    Kind,
    Outside,
    Reason,
    Routine,
    Table,
    Thing,
    Unknown,
    Unset,
    Value,
    either,
    keys_of,
    one,
    unclear,
)
from patchkit.drift.package import FUNCTIONS, Function

if TYPE_CHECKING:
    from patchkit.drift.deciding.evaluator import Evaluator

TRANSPARENT = {
    "property",
    "cached_property",
    "staticmethod",
    "classmethod",
    "cache",
    "lru_cache",
    "override",
    "final",
    "no_grad",
    "inference_mode",
    "instrument",
}
"""Decorators that leave what a function returns alone."""
PLAIN_BASES = {"object", "ABC", "Protocol", "Generic"}
"""Base classes that give their objects no attributes to ask for."""
INSTALLED = {"entry_points"}
"""Functions that say what a user installed besides, which counts as a setting."""


@dataclass
class Calls:
    """Calls."""

    ev: Evaluator

    def call(self, node: ast.Call, frame: Frame) -> Value:
        given = Given(more=True) if makes(node) else self._given(node, frame)
        if isinstance(node.func, ast.Attribute) and not is_super(node.func.value):
            holder = self.ev.value(node.func.value, frame)
            known = [operations.method(option, node.func.attr, given.places) for option in holder.options]
            if node.func.attr in operations.MUTATORS and self._mutate(node.func, holder, given, frame):
                return self.ev.lacking(shown(node), node, frame.module)
            if known and all(found is not None for found in known):
                return either([found for found in known if found is not None], holder.why)
            table = self._of_table(holder, node.func.attr, given, node, frame)
            if table is not None:
                return table
        function = self.ev.value(node.func, frame)
        found = [self._called(option, given, node, frame, function) for option in function.options]
        self._spoil(node, function, given, frame)
        return either(found, function.why)

    def _given(self, node: ast.Call, frame: Frame) -> Given:
        places: list[Value] = []
        more = False
        for argument in node.args:
            inner = self.ev.value(argument.value if isinstance(argument, ast.Starred) else argument, frame)
            if not isinstance(argument, ast.Starred):
                places.append(inner)
            elif isinstance(inner.only, Items) and not more:
                places += inner.only.items
            else:
                more = True
        named = {keyword.arg: self.ev.value(keyword.value, frame) for keyword in node.keywords if keyword.arg}
        return Given(tuple(places), named, more or any(keyword.arg is None for keyword in node.keywords))

    def _of_table(self, holder: Value, name: str, given: Given, node: ast.Call, frame: Frame) -> Value | None:
        """``get`` of a dict whose rows are known."""
        key = given.places[0].constant if given.places else None
        if not isinstance(holder.only, Table) or name != "get" or not isinstance(key, str):
            return None
        if key in holder.only.rows:
            return self.ev.value(holder.only.rows[key], Frame(holder.only.module))
        return given.places[1] if len(given.places) > 1 else NONE

    def _mutate(self, function: ast.Attribute, holder: Value, given: Given, frame: Frame) -> bool:
        """Note that a list or set is changed in place; whether it was one."""
        if not any(isinstance(option, (Items, Table, Unknown)) for option in holder.options):
            return False
        changed = [operations.mutated(option, function.attr, given.places) for option in holder.options]
        reason = Reason(shown(function), self.ev.place(function, frame.module))
        uncertain = any(isinstance(option, Unknown) for option in changed)
        after = Value(tuple(dict.fromkeys(changed)), holder.why | ({reason} if uncertain else set()), holder.by)
        frame.spoil({option.key for option in holder.options if isinstance(option, Items)}, reason)
        if isinstance(function.value, ast.Name):
            frame.names[function.value.id] = after
        elif isinstance(function.value, ast.Attribute) and self.ev.is_itself(function.value.value, frame):
            frame.fields[function.value.attr] = after
        return True

    def _spoil(self, node: ast.Call, function: Value, given: Given, frame: Frame) -> None:
        """A list that is given to a function of which it is not known whether it changes it is not known any more."""
        if is_harmless(node.func) or all(
            isinstance(option, Outside) and option.name.startswith("builtins.") for option in function.options
        ):
            return
        reason = Reason(f"what {shown(node)} changes", self.ev.place(node, frame.module))
        values = [*given.places, *given.named.values()]
        if makes(node) or given.more:
            every = [*node.args, *(keyword.value for keyword in node.keywords)]
            parts = [part for argument in every for part in ast.walk(argument) if isinstance(part, ast.Name)]
            values += [frame.names[part.id] for part in parts if part.id in frame.names]
        frame.spoil(set[int]().union(*(keys_of(value) for value in values)), reason)

    def _called(self, function: Atom, given: Given, node: ast.Call, frame: Frame, whole: Value) -> Value:
        if isinstance(function, Kind):
            if self.ev.objects.is_enum(function.definition):
                return self.ev.lacking(shown(node), node, frame.module)
            return one(Thing(function.name, function.definition, self.ev.place(node, frame.module)))
        if isinstance(function, Routine):
            return self.invoke(function, given, node, frame)
        if isinstance(function, Outside):
            return self._called_outside(function, given, node, frame)
        return unclear(whole) if whole.why else self.ev.lacking(shown(node), node, frame.module)

    def _called_outside(self, function: Outside, given: Given, node: ast.Call, frame: Frame) -> Value:
        holder, _, name = function.name.rpartition(".")
        if holder == "builtins":
            found = self._of_built_in(name, given, node, frame)
            return found if found is not None else self.ev.lacking(shown(node), node, frame.module)
        if holder == "current_platform":
            answer = self.ev.circumstances.of_platform(name)
            return answer if answer is not None else self.ev.lacking(shown(node), node, frame.module)
        if function.name in ("os.getenv", "os.environ.get") and given.places:
            default = given.places[1] if len(given.places) > 1 else given.named.get("default", NONE)
            variable = given.places[0].constant
            return Value(default.options, default.why, default.by | {unset(variable)})
        if function.name == "typing.cast" and len(given.places) == 2:
            return given.places[1]
        return self.ev.lacking(shown(node), node, frame.module, setting=name in INSTALLED)

    def _of_built_in(self, name: str, given: Given, node: ast.Call, frame: Frame) -> Value | None:
        places = given.places
        if name in ("getattr", "hasattr") and len(places) > 1 and isinstance(places[1].constant, str):
            return self._getattr(name, given, str(places[1].constant), node, frame)
        if name == "setattr" and len(places) == 3 and isinstance(places[1].constant, str):
            if frame.thing is not None and places[0].only == frame.thing:
                frame.fields[str(places[1].constant)] = places[2]
            return NONE
        if name == "isinstance" and len(places) == 2:
            return self._isinstance(places[0], places[1])
        if name == "dict" and not places and not given.named and not given.more:
            return one(Table(id(node), {}, frame.module))
        if name == "callable" or given.more or given.named:
            return None
        return operations.built_in(name, places)

    def _getattr(self, name: str, given: Given, attribute: str, node: ast.Call, frame: Frame) -> Value:
        holder = given.places[0]
        found: list[Value] = []
        for option in holder.options:
            got = self.ev.on_the_way(frame, attribute, node) if option == frame.thing else None
            got = got or self.ev.objects.of_atom(option, attribute)
            if got is not None:
                found.append(got if name == "getattr" else TRUE)
            elif self._lacks(option):
                default = given.places[2] if len(given.places) > 2 else None
                found.append(
                    FALSE if name == "hasattr" else default or self.ev.lacking(shown(node), node, frame.module)
                )
            else:
                found.append(unclear(holder) if holder.why else self.ev.lacking(shown(node), node, frame.module))
        return either(found, holder.why)

    def _lacks(self, holder: Atom) -> bool:
        """Whether it is sure that something has no more attributes than were found: all its classes can be read."""
        if isinstance(holder, Constant):
            return holder.value is None
        if not isinstance(holder, Thing):
            return False
        for owner in self.ev.universe.lineage(holder.definition):
            if not isinstance(owner.node, ast.ClassDef) or self.ev.universe.class_member(owner, "__getattr__"):
                return False
            known = {last(base.name) for base in self.ev.universe.bases(owner)} | PLAIN_BASES
            if any(last(shown(base).partition("[")[0]) not in known for base in owner.node.bases):
                return False
        return True

    def _isinstance(self, value: Value, kinds: Value) -> Value:
        wanted = kinds.only.items if isinstance(kinds.only, Items) else (kinds,)
        thing = operations.thing_of(value)
        if thing is None or not all(isinstance(kind.only, Kind) for kind in wanted):
            return unclear(value, kinds)
        lineage = {owner.name for owner in self.ev.universe.lineage(thing.definition)}
        if any(isinstance(kind.only, Kind) and kind.only.name in lineage for kind in wanted):
            return TRUE
        return FALSE if thing.made else unclear(value, kinds)

    def invoke(self, routine: Routine, given: Given, where: ast.AST, frame: Frame | None = None) -> Value:
        """What a function returns."""
        with self.ev.deeper() as going:
            if not going or not _readable(routine.node):
                return self.ev.lacking(f"what {_called_name(routine)} returns", where, routine.module)
            if isinstance(routine.node, ast.Lambda):
                inner = self._frame(routine, given)
                return self.ev.value(routine.node.body, inner)
            same = frame is not None and frame.receiver is not None and routine.receiver == frame.receiver
            if frame is not None and same:
                ended = self.follow(routine, given, frame.fields, frame.wanted, frame.leading)
                if ended:
                    changed = [
                        held for name, held in frame.fields.items() if any(f.get(name) != held for _, f in ended)
                    ]
                    why = Reason(f"what {_called_name(routine)} changes", self.ev.place(where, routine.module))
                    frame.spoil(set[int]().union(*(keys_of(held) for held in changed)), why)
                    frame.fields = joined([fields for _, fields in ended], whys(ended), Value((Unset(),)))
            else:
                ended = self.follow(routine, given, {}, frozenset())
            if not ended:
                return self.ev.lacking(f"{_called_name(routine)} always raises", where, routine.module)
            return either([value for value, _ in ended])

    def follow(
        self,
        routine: Routine,
        given: Given,
        fields: Mapping[str, Value],
        wanted: frozenset[str],
        leading: bool = False,
    ) -> list[tuple[Value, dict[str, Value]]]:
        """Follow a function: what it may return, with the attributes of its object then; nothing if it only raises."""
        assert isinstance(routine.node, FUNCTIONS)
        frame = self._frame(routine, given)
        frame.fields, frame.wanted = dict(fields), wanted
        holder = frame.thing.definition if frame.thing else None
        names = frozenset(f"self.{name}" for name in wanted)
        frame.matter = self.ev.relevance.matter(routine.node, holder, frame.owner, names)
        frame.leading = leading and bool(wanted)
        if self.ev.paths.block(routine.node.body, frame):
            frame.exits.append(Exit("return", NONE, frame.names, frame.fields))
        return [(end.value, end.fields) for end in frame.exits if end.how == "return"]

    def _frame(self, routine: Routine, given: Given) -> Frame:
        """The variables with which a function begins."""
        node = routine.node
        frame = Frame(routine.module, owner=routine.owner, receiver=routine.receiver, around=routine.around)
        frame.local, frame.twice = self.ev.bindings.local(node), self.ev.bindings.twice(node)
        places = [*node.args.posonlyargs, *node.args.args]
        values = [*([routine.receiver] if routine.receiver is not None else []), *given.places]
        if routine.receiver is not None and places:
            frame.itself = places[0].arg
        defaults = dict(zip([one.arg for one in reversed(places)], reversed(node.args.defaults), strict=False))
        for parameter, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
            if default is not None:
                defaults[parameter.arg] = default
        for at, parameter in enumerate([*places, *node.args.kwonlyargs]):
            if at < len(values) and at < len(places):
                frame.names[parameter.arg] = values[at]
            elif parameter.arg in given.named:
                frame.names[parameter.arg] = given.named[parameter.arg]
            else:
                frame.names[parameter.arg] = self._parameter(parameter, defaults.get(parameter.arg), given, routine)
        return frame

    def _parameter(self, parameter: ast.arg, default: ast.expr | None, given: Given, routine: Routine) -> Value:
        """A parameter that no value was given for: its default if that is sure, else a usual object of its class."""
        if default is not None and not given.more:
            return self.ev.value(default, Frame(routine.module))
        usual = self.ev.objects.usual(parameter.annotation, routine.module)
        return usual or self.ev.lacking(parameter.arg, parameter, routine.module)


def _readable(node: Function | ast.Lambda) -> bool:
    """Whether what a function returns is what its ``return`` statements say."""
    if isinstance(node, ast.Lambda):
        return True
    if isinstance(node, ast.AsyncFunctionDef) or any(
        isinstance(one, (ast.Yield, ast.YieldFrom)) for one in ast.walk(node)
    ):
        return False
    names = [last(shown(one).partition("(")[0]) for one in node.decorator_list]
    final = node.body[-1]
    stub = isinstance(final, ast.Expr) and isinstance(final.value, ast.Constant) and final.value.value is ...
    return not stub and all(name in TRANSPARENT for name in names)


def _called_name(routine: Routine) -> str:
    return getattr(routine.node, "name", "lambda")
