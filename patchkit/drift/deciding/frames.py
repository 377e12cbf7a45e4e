"""A function that is followed, at one point of it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from patchkit.drift.deciding import operations
from patchkit.drift.deciding.names import named_inside, rebound_inside
from patchkit.drift.deciding.values import (
    Reason,
    Thing,
    Unset,
    Value,
    either,
    keys_of,
    unknown,
)
from patchkit.drift.package import Definition, Function, Module


@dataclass
class Frame:
    """The names of a function that is followed, at one point of it.

    Attributes:
        module: where it is written.
        names: its variables.
        fields: the attributes of its object that were set on the way.
        itself: the name of its first parameter, if it is a method.
        receiver: its object.
        owner: the class that the method is written in.
        local: every name that it binds anywhere; ``twice``: those that it binds more than once.
        wild: those that a function inside it binds anew; ``inner``: those that it names.
        around: the variables of the function around it.
        matter: the statements that are followed; see :mod:`relevance`.
        wanted: the attributes of the object that are asked for.
        leading: it leads to what was asked for, so that all its conditions are told.
        because: the circumstances that the conditions on the way rested on.
        exits: where it ended: how, with what value, variables and attributes.
    """

    module: Module
    names: dict[str, Value] = field(default_factory=dict)
    fields: dict[str, Value] = field(default_factory=dict)
    itself: str = ""
    receiver: Value | None = None
    owner: Definition | None = None
    local: frozenset[str] = frozenset()
    twice: frozenset[str] = frozenset()
    wild: frozenset[str] = frozenset()
    inner: frozenset[str] = frozenset()
    around: Mapping[str, Value] = field(default_factory=dict)
    matter: frozenset[int] = frozenset()
    wanted: frozenset[str] = frozenset()
    leading: bool = False
    because: frozenset[str] = frozenset()
    exits: list[Exit] = field(default_factory=list)

    @property
    def thing(self) -> Thing | None:
        """Its object."""
        return operations.thing_of(self.receiver) if self.receiver else None

    def look_inside(self, node: Function | ast.Lambda) -> None:
        """Note what a function inside this one may do to its variables, whenever it is called."""
        self.wild |= rebound_inside(node)
        self.inner |= named_inside(node)

    def is_lost(self, name: str) -> bool:
        """Whether a variable may be changed by a function inside this one."""
        return name in self.wild or (name in self.inner and name in self.names and bool(keys_of(self.names[name])))

    def spoil(self, keys: set[int], why: Reason) -> None:
        """Some lists may have been changed: nothing that holds one of them is known any more."""
        for state in (self.names, self.fields):
            for name, held in state.items() if keys else ():
                if keys & keys_of(held):
                    state[name] = unknown(why)

    def fork(self, ways: Sequence[Callable[[], bool]], why: frozenset[Reason]) -> bool:
        """Go every way, and on with what they come to together; whether any goes on."""
        names, fields, ends = self.names, self.fields, list[tuple[dict[str, Value], dict[str, Value]]]()
        first_exit = len(self.exits)
        for way in ways:
            self.names, self.fields = dict(names), dict(fields)
            if way():
                ends.append((self.names, self.fields))
        self.exits[first_exit:] = [because(end, why) for end in self.exits[first_exit:]]
        if not ends:
            return False
        self.meet(ends, why)
        return True

    def meet(self, ends: Sequence[tuple[dict[str, Value], dict[str, Value]]], why: frozenset[Reason]) -> None:
        """Go on with what several ways come to together."""
        self.names = joined([names for names, _ in ends], why, None)
        self.fields = joined([fields for _, fields in ends], why, Value((Unset(),)))

    def perhaps(self, work: Callable[[], Value], why: frozenset[Reason]) -> Value:
        """What an expression comes to that is perhaps not worked out at all: what it changes, it changes perhaps."""
        found: list[Value] = []

        def way() -> bool:
            found.append(work())
            return True

        self.fork([way, lambda: True], why)
        return found[0]


@dataclass(frozen=True)
class Exit:
    """One way out of a function or loop."""

    how: str
    value: Value
    names: dict[str, Value]
    fields: dict[str, Value]


@dataclass(frozen=True)
class Given:
    """What a call passes; ``more``: also things that are not known."""

    places: tuple[Value, ...] = ()
    named: Mapping[str, Value] = field(default_factory=dict)
    more: bool = False


def because(end: Exit, why: frozenset[Reason]) -> Exit:
    value = Value(end.value.options, end.value.why | why, end.value.by)
    return Exit(end.how, value, end.names, end.fields)


def whys(ended: Sequence[tuple[Value, dict[str, Value]]]) -> frozenset[Reason]:
    return frozenset[Reason]().union(*(value.why for value, _ in ended))


def joined(states: Sequence[dict[str, Value]], why: frozenset[Reason], missing: Value | None) -> dict[str, Value]:
    """Variables after several ways that meet; ``missing`` stands for one that a way has not set."""
    if len(states) == 1:
        return states[0]
    found: dict[str, Value] = {}
    for name in dict.fromkeys(name for state in states for name in state):
        values = [state.get(name, missing) for state in states]
        known = [value for value in values if value is not None]
        found[name] = known[0] if all(value == known[0] for value in known) else either(known, why)
    return found
