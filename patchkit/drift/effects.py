"""What a call gives back, and what it sets on the objects that it is handed: read through the calls inside it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from patchkit.drift.contract import Returned
from patchkit.drift.inference import Callable, Class, Inference, Type
from patchkit.drift.package import Definition
from patchkit.drift.syntax import FUNCTIONS, name_of, own_nodes, positional, targets

FOLLOWED = 3
"""Calls that are followed one inside the other, for what is returned and for side effects."""


def returns_of(found: Definition, inference: Inference, guessed: list[str], depth: int = 0) -> Iterator[Returned]:
    """Every ``return`` of a function; one that hands on what another function returned is followed there."""
    assert isinstance(found.node, FUNCTIONS)
    statements = [node for node in own_nodes(found.node) if isinstance(node, ast.Return)]
    if not statements and not any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in own_nodes(found.node)):
        yield Returned((), False, found.place)
    for statement in statements:
        place = found.module.place(statement)
        value = statement.value
        if value is None or (isinstance(value, ast.Constant) and value.value is None):
            yield Returned((), False, place)
        elif isinstance(value, ast.Tuple):
            yield Returned(tuple(name_of(one) for one in value.elts), True, place)
        elif isinstance(value, ast.Call):
            yield from _handed_on(value, place, found, inference, guessed, depth)
        else:
            yield Returned((name_of(value),), False, place)


def _handed_on(
    call: ast.Call, place: str, found: Definition, inference: Inference, guessed: list[str], depth: int
) -> Iterator[Returned]:
    assert isinstance(found.node, FUNCTIONS)
    scope = inference.parameters(found.node, found.module, found.owner)
    called = inference.expression(call.func, found.module, scope)
    if isinstance(called, Callable) and isinstance(called.definition.node, FUNCTIONS) and depth < FOLLOWED:
        yield from returns_of(called.definition, inference, guessed, depth + 1)
        return
    if not isinstance(called, Class):
        guessed.append(f"what {name_of(call)}() returns at {place} is not known")
    yield Returned((name_of(call),), False, place, known=isinstance(called, Class))


def effects_of(found: Definition, inference: Inference, depth: int = 0) -> dict[str, str]:
    """Attributes that a function sets on objects other than ``self``: ``request.request_id`` -> where.

    By the names that the function itself has for them, also where a function that it calls sets them.
    """
    assert isinstance(found.node, FUNCTIONS)
    effects: dict[str, str] = {}
    scope = inference.parameters(found.node, found.module, found.owner)
    same: dict[str, str] = {}
    for node in own_nodes(found.node):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and isinstance(node.targets[0], ast.Name):
            same[node.targets[0].id] = same.get(node.value.id, node.value.id)  # another name for it
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            for target in [node.target] if isinstance(node, ast.AugAssign) else targets(node):
                if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                    where = found.module.place(target)
                    effects.setdefault(f"{same.get(target.value.id, target.value.id)}.{target.attr}", where)
        elif isinstance(node, ast.Call) and depth < FOLLOWED:
            effects = _effects_of_call(node, found, scope, inference, depth) | effects
    return effects if depth else {name: place for name, place in effects.items() if not name.startswith("self.")}


def _effects_of_call(
    call: ast.Call, found: Definition, scope: Mapping[str, Type], inference: Inference, depth: int
) -> dict[str, str]:
    """What a call does to the objects that it is handed by name, or that it is a method of."""
    where = found.module.place(call)
    handed = {at: one.id for at, one in enumerate(call.args) if isinstance(one, ast.Name)}
    named = {one.arg: one.value.id for one in call.keywords if one.arg and isinstance(one.value, ast.Name)}
    if name_of(call) in ("setattr", "__setattr__"):
        names = [one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        return {f"{holder}.{name}": where for holder in list(handed.values())[:1] for name in names[:1]}
    if name_of(call) == "replace" and 0 in handed:
        return {f"{handed[0]}.{one.arg}": where for one in call.keywords if one.arg}
    receiver = (
        call.func.value.id if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) else ""
    )
    called = inference.expression(call.func, found.module, scope) if handed or named or receiver in scope else None
    if not isinstance(called, Callable) or not isinstance(called.definition.node, FUNCTIONS):
        return {}
    theirs = positional(called.definition.node)[1 if called.bound else 0 :]
    ours = {theirs[at]: name for at, name in handed.items() if at < len(theirs)} | named
    if called.bound and receiver:
        ours["self"] = receiver
    inner = effects_of(called.definition, inference, depth + 1)
    split = [(*name.split("."), place) for name, place in inner.items()]
    return {f"{ours[holder]}.{attribute}": place for holder, attribute, place in split if holder in ours}
