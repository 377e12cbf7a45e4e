"""Values of code that is read, not run: one, several that are possible, or not known, and for what reason."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from patchkit.drift.package import Definition, Function, Module

ItemsKind = Literal["list", "tuple", "set"]
MOST_OPTIONS = 8
"""Possible values that are kept apart; more count as not known."""


@dataclass(frozen=True)
class Reason:
    """Why something is not known.

    Attributes:
        text: the expression, or what is missing.
        place: ``config/vllm.py:42``.
        setting: it is something that a user sets, and that can be taken as off.
    """

    text: str
    place: str
    setting: bool = False


@dataclass(frozen=True)
class Constant:
    """A number, a string, None; ``kind`` keeps True and 1 apart."""

    value: object
    kind: str


@dataclass(frozen=True)
class Items:
    """A list, tuple or set, whose places are known; of a set, and of what is made from one, not in what order.

    ``key`` stays the same when it is changed in place; 0 if it never is.
    """

    items: tuple[Value, ...]
    kind: ItemsKind
    key: int = field(default_factory=count().__next__)


@dataclass(frozen=True)
class Table:
    """A dict with constant keys, whose values are worked out when asked for."""

    name: int
    rows: Mapping[str, ast.expr] = field(compare=False)
    module: Module = field(compare=False)


@dataclass(frozen=True)
class Thing:
    """An object of a class; ``made`` is the place where the code that is read makes it, else it is a usual one."""

    name: str
    definition: Definition = field(compare=False)
    made: str = ""


@dataclass(frozen=True)
class Kind:
    """A class."""

    name: str
    definition: Definition = field(compare=False)


@dataclass(frozen=True)
class Member:
    """A member of an enumeration."""

    of: Kind
    name: str


@dataclass(frozen=True)
class Routine:
    """A function, method or lambda, with the object that it was taken from and the names around it."""

    name: int
    receiver: Value | None
    node: Function | ast.Lambda = field(compare=False)
    module: Module = field(compare=False)
    owner: Definition | None = field(default=None, compare=False)
    around: Mapping[str, Value] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Space:
    """A module."""

    name: str
    module: Module = field(compare=False)


@dataclass(frozen=True)
class Outside:
    """Something that the sources at hand do not define: of Python, or of another package."""

    name: str


@dataclass(frozen=True)
class Unknown:
    """Anything; ``counts_as``: anything that counts as true, or as false."""

    counts_as: bool | None = None


@dataclass(frozen=True)
class Unset:
    """An attribute that a path of the code has not set."""


Atom = Constant | Items | Table | Thing | Kind | Member | Routine | Space | Outside | Unknown | Unset


@dataclass(frozen=True)
class Value:
    """What an expression may be.

    Attributes:
        options: one if it is known.
        why: what would have to be known to tell them apart.
        by: the circumstances that it rests on.
    """

    options: tuple[Atom, ...]
    why: frozenset[Reason] = frozenset()
    by: frozenset[str] = frozenset()

    @property
    def only(self) -> Atom | None:
        """The one thing that it is; None if that is not known."""
        known = len(self.options) == 1 and not isinstance(self.options[0], Unknown)
        return self.options[0] if known else None

    @property
    def constant(self) -> object:
        """What it is if it is a constant, else :data:`NOT_CONSTANT`."""
        return self.only.value if isinstance(self.only, Constant) else NOT_CONSTANT


NOT_CONSTANT = object()


def constant(value: object, *by: str) -> Value:
    """A value that is known."""
    return Value((Constant(value, type(value).__name__),), by=frozenset(by))


def one(atom: Atom, *of: Value) -> Value:
    """A value of one option, which rests on what others rest on."""
    return Value((atom,), frozenset(), frozenset().union(*(value.by for value in of)))


def unknown(*reasons: Reason) -> Value:
    return Value((Unknown(),), frozenset(reasons))


def unclear(*of: Value) -> Value:
    """Not known, because the values that it would be worked out from are not, or cannot be combined here."""
    return Value(
        (Unknown(),),
        frozenset().union(*(value.why for value in of)),
        frozenset().union(*(value.by for value in of)),
    )


def either(values: Iterable[Value], why: frozenset[Reason] = frozenset()) -> Value:
    """One of several, which of them depends on ``why``."""
    given = list(values)
    options = tuple(dict.fromkeys(option for value in given for option in value.options))
    by = frozenset[str]().union(*(value.by for value in given))
    if len(options) > MOST_OPTIONS:
        options = (Unknown(),)
    if len(options) == 1 and not isinstance(options[0], Unknown):
        return Value(options, frozenset(), by)
    return Value(options, why.union(*(value.why for value in given)), by)


TRUE, FALSE, NONE = constant(True), constant(False), constant(None)


def truths(atom: Atom) -> tuple[bool, ...]:
    """Whether something counts as true: one answer, or both."""
    if isinstance(atom, Constant):
        return (bool(atom.value),)
    if isinstance(atom, Items):
        return (bool(atom.items),)
    if isinstance(atom, Table):
        return (bool(atom.rows),)
    if isinstance(atom, Unknown):
        return (True, False) if atom.counts_as is None else (atom.counts_as,)
    if isinstance(atom, Thing):
        return (True,) if not _has_size(atom.definition) else (True, False)
    return (True,) if isinstance(atom, (Kind, Routine, Space)) else (True, False)


def truth(value: Value) -> Value:
    """``bool(value)``."""
    answers = {answer for option in value.options for answer in truths(option)}
    if len(answers) == 1:
        return constant(answers.pop(), *value.by)
    return Value((*TRUE.options, *FALSE.options), value.why, value.by)


def decided(value: Value) -> bool | None:
    """Whether a value counts as true; None if that is not known."""
    answer = truth(value).constant
    return answer if isinstance(answer, bool) else None


def opposite(value: Value) -> Value:
    """``not value``."""
    answer = decided(value)
    return truth(value) if answer is None else constant(not answer, *value.by)


def that_are(value: Value, wanted: bool) -> Value:
    """The part of the options that counts as true, or as false."""
    options = [
        option if truths(option) == (wanted,) else Unknown(wanted)
        for option in value.options
        if wanted in truths(option)
    ]
    return Value(tuple(options), value.why, value.by)


def _has_size(definition: Definition) -> bool:
    """Whether a class says itself when its objects count as false."""
    body = definition.node.body if isinstance(definition.node, ast.ClassDef) else []
    return any(isinstance(one, ast.FunctionDef) and one.name in ("__bool__", "__len__") for one in body)


def keys_of(value: Value) -> set[int]:
    """The lists and sets that can be changed through a value."""
    found: set[int] = set()
    waiting = [value]
    while waiting:
        for option in waiting.pop().options:
            if isinstance(option, Items):
                waiting.extend(option.items)
                found |= {option.key} if option.key and option.kind != "tuple" else set()
    return found
