"""What operators, built-in functions and methods of built-in types make of values, known or not."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

from patchkit.drift.deciding.values import (
    FALSE,
    NOT_CONSTANT,
    TRUE,
    Atom,
    Constant,
    Items,
    ItemsKind,
    Kind,
    Member,
    Outside,
    Routine,
    Space,
    Table,
    Thing,
    Unknown,
    Unset,
    Value,
    constant,
    decided,
    either,
    one,
    opposite,
    unclear,
)

LONGEST = 10_000
"""Characters of a string, and bits of a number, that are still worked with."""
ORDERS: dict[type[ast.cmpop], Callable[..., bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
TEXT_METHODS = {
    "lower",
    "upper",
    "strip",
    "lstrip",
    "rstrip",
    "startswith",
    "endswith",
    "removeprefix",
    "removesuffix",
    "isdigit",
    "casefold",
    "title",
}
SET_METHODS = {
    "intersection": ast.BitAnd,
    "union": ast.BitOr,
    "difference": ast.Sub,
}
MUTATORS = {
    "append",
    "add",
    "extend",
    "update",
    "insert",
    "remove",
    "discard",
    "pop",
    "popitem",
    "clear",
    "setdefault",
    "sort",
    "reverse",
}


def compare(operation: ast.cmpop, left: Value, right: Value) -> Value:
    """``left operation right``, for every pair of what they may be."""
    answers = [_compared(operation, a, b) for a, b in product(left.options, right.options)]
    found = either(answers, left.why | right.why) if answers else unclear(left, right)
    return Value(found.options, found.why, left.by | right.by | found.by)


def _compared(operation: ast.cmpop, left: Atom, right: Atom) -> Value:
    if isinstance(operation, (ast.Is, ast.IsNot, ast.Eq, ast.NotEq)):
        same = _same(left, right, identity=isinstance(operation, (ast.Is, ast.IsNot)))
        return opposite(same) if isinstance(operation, (ast.IsNot, ast.NotEq)) else same
    if isinstance(operation, (ast.In, ast.NotIn)):
        inside = _inside(left, right)
        return opposite(inside) if isinstance(operation, ast.NotIn) else inside
    order = ORDERS.get(type(operation))
    if order and isinstance(left, Constant) and isinstance(right, Constant):
        try:
            return constant(bool(order(left.value, right.value)))
        except TypeError:
            return unclear()
    return unclear()


def _same(left: Atom, right: Atom, identity: bool) -> Value:
    if isinstance(left, (Unset, Outside)) or isinstance(right, (Unset, Outside)):
        return unclear()
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        other = right if isinstance(left, Unknown) else left
        return FALSE if Unknown(True) in (left, right) and other == Constant(None, "NoneType") else unclear()
    if isinstance(left, Constant) and isinstance(right, Constant):
        if identity and (left.kind != right.kind or left.kind in ("bool", "NoneType")):
            return constant(left == right)
        return unclear() if identity else constant(left.value == right.value)
    if isinstance(left, Member) and isinstance(right, Member):
        return constant(left == right)
    if isinstance(left, Items) and isinstance(right, Items) and not identity:
        return _same_items(left, right)
    if isinstance(left, (Kind, Space)) and isinstance(right, (Kind, Space)):
        return constant(left == right)
    if Constant(None, "NoneType") in (left, right):
        return FALSE
    plain = (Constant, Items, Table, Kind, Space, Routine)
    return (
        FALSE if isinstance(left, plain) and isinstance(right, plain) and type(left) is not type(right) else unclear()
    )


def _same_items(left: Items, right: Items) -> Value:
    if left.kind == "set" or left.kind != right.kind or len(left.items) != len(right.items):
        return unclear() if left.kind == "set" else FALSE
    answers = [compare(ast.Eq(), a, b) for a, b in zip(left.items, right.items, strict=True)]
    return every(answers)


def _inside(left: Atom, right: Atom) -> Value:
    if isinstance(right, Outside) and right.name == "os.environ" and isinstance(left, Constant):
        return constant(False, f"{left.value} is not set")
    if isinstance(right, Constant) and isinstance(left, Constant):
        if isinstance(right.value, str) and isinstance(left.value, str):
            return constant(left.value in right.value)
        return unclear()
    if isinstance(right, Table) and isinstance(left, Constant) and isinstance(left.value, str):
        return constant(left.value in right.rows)
    if isinstance(right, Items):
        return some([compare(ast.Eq(), Value((left,)), item) for item in right.items])
    return unclear()


def some(answers: Sequence[Value]) -> Value:
    """``any(answers)``."""
    yes = [answer for answer in answers if decided(answer) is True]
    if yes:
        return one(TRUE.options[0], *yes)
    open_ones = [answer for answer in answers if decided(answer) is None]
    return unclear(*open_ones) if open_ones else one(FALSE.options[0], *answers)


def every(answers: Sequence[Value]) -> Value:
    """``all(answers)``."""
    return opposite(some([opposite(answer) for answer in answers]))


def combine(operation: ast.operator, left: Value, right: Value) -> Value:
    """``left operation right`` for strings, numbers, lists and sets, where that is small."""
    found = _combined(operation, left.only, right.only)
    return unclear(left, right) if found is None else one(found, left, right)


def _combined(operation: ast.operator, left: Atom | None, right: Atom | None) -> Atom | None:
    if isinstance(left, Items) and isinstance(right, Items):
        return _combined_items(operation, left, right)
    if not isinstance(left, Constant) or not isinstance(right, Constant):
        return None
    a, b = left.value, right.value
    if isinstance(operation, ast.Add) and isinstance(a, str) and isinstance(b, str) and len(a) + len(b) < LONGEST:
        return Constant(a + b, "str")
    if isinstance(a, int) and isinstance(b, int) and max(a.bit_length(), b.bit_length()) < LONGEST:
        if isinstance(operation, ast.Add):
            return Constant(a + b, "int")
        if isinstance(operation, ast.Sub):
            return Constant(a - b, "int")
    return None


def _combined_items(operation: ast.operator, left: Items, right: Items) -> Items | None:
    if len(left.items) + len(right.items) > LONGEST:
        return None
    if isinstance(operation, ast.Add) and left.kind == right.kind != "set":
        return Items(left.items + right.items, left.kind)
    if isinstance(operation, ast.BitOr):
        return Items(left.items + right.items, "set")
    wanted = {ast.BitAnd: True, ast.Sub: False}.get(type(operation))
    answers = [decided(some([compare(ast.Eq(), item, other) for other in right.items])) for item in left.items]
    if wanted is None or None in answers:
        return None
    kept = tuple(item for item, answer in zip(left.items, answers, strict=True) if answer is wanted)
    return Items(kept, "set")


def built_in(name: str, given: Sequence[Value]) -> Value | None:
    """What a built-in function returns; None if it is not one that is known here."""
    first = given[0] if given else None
    if first is None:
        empty = {"list": Items((), "list"), "tuple": Items((), "tuple"), "set": Items((), "set")}
        found = empty.get("set" if name == "frozenset" else name)
        return one(found) if found else None
    only = first.only
    if name == "bool":
        answer = decided(first)
        return constant(answer, *first.by) if answer is not None else Value((*TRUE.options, *FALSE.options), first.why)
    if name in ("any", "all") and isinstance(only, Items):
        found_truth = (some if name == "any" else every)(only.items)
        return Value(found_truth.options, found_truth.why | first.why, found_truth.by | first.by)
    if name in ("list", "tuple", "set", "frozenset", "sorted", "reversed") and isinstance(only, Items):
        unordered = only.kind == "set" or (name in ("sorted", "reversed") and len(only.items) > 1)
        made = Items(only.items, "set" if unordered else _kind_of(name))
        return one(replace(made, key=0) if name == "frozenset" else made, first)
    if name == "len" and isinstance(only, Items) and only.kind != "set":
        return constant(len(only.items), *first.by)
    if name in ("int", "str", "float") and isinstance(only, Constant) and len(given) == 1:
        return _converted(name, first, only)
    return None


def _kind_of(name: str) -> ItemsKind:
    if name == "tuple":
        return "tuple"
    return "set" if name in ("set", "frozenset") else "list"


def _converted(name: str, value: Value, atom: Constant) -> Value | None:
    try:
        if name == "int" and isinstance(atom.value, (str, bool, int, float)):
            return constant(int(atom.value), *value.by)
        if name == "float" and isinstance(atom.value, (str, bool, int, float)):
            return constant(float(atom.value), *value.by)
        return constant(str(atom.value), *value.by) if name == "str" and isinstance(atom.value, (str, bool)) else None
    except (ValueError, OverflowError):
        return None


def method(holder: Atom, name: str, given: Sequence[Value]) -> Value | None:
    """What a method of a string, list, set or dict returns; None if it is not one that is known here."""
    constants = [value.constant for value in given]
    if isinstance(holder, Constant) and isinstance(holder.value, str):
        if name in TEXT_METHODS and NOT_CONSTANT not in constants:
            return _of_text(holder.value, name, constants)
        if name == "join":
            return one(Unknown())
    if isinstance(holder, Items) and name in SET_METHODS and len(given) == 1:
        return combine(SET_METHODS[name](), Value((holder,)), given[0])
    if isinstance(holder, Items) and name == "isdisjoint" and len(given) == 1:
        both = combine(ast.BitAnd(), Value((holder,)), given[0])
        return opposite(both) if both.only else None
    if isinstance(holder, Items) and name == "copy" and not given:
        return one(Items(holder.items, holder.kind))
    return None


def _of_text(text: str, name: str, constants: Sequence[object]) -> Value | None:
    try:
        return constant(getattr(text, name)(*constants))
    except (TypeError, ValueError):
        return None


def mutated(holder: Atom, name: str, given: Sequence[Value]) -> Atom:
    """What a list or set is after one of its methods that change it."""
    if not isinstance(holder, Items):
        return Unknown()
    items: tuple[Value, ...] | None = None
    if name in ("append", "add") and len(given) == 1 and len(holder.items) < LONGEST:
        items = (*holder.items, given[0])
    elif name in ("extend", "update") and len(given) == 1 and isinstance(given[0].only, Items):
        items = (*holder.items, *given[0].only.items)
    elif name == "clear":
        items = ()
    elif name in ("sort", "reverse") and len(holder.items) < 2:
        items = holder.items
    return Unknown() if items is None or len(items) > LONGEST else replace(holder, items=items)


def thing_of(value: Value) -> Thing | None:
    return value.only if isinstance(value.only, Thing) else None
