"""Only the annotation changed; a break if the items that the runtime unpacks differ."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from patchkit.drift.findings import returns_changed
from patchkit.drift.findings.finding import Case, Finding

CONTAINERS = {"list", "set", "frozenset", "deque", "Sequence", "Iterable", "Iterator", "Collection"}


def find(case: Case) -> Iterator[Finding]:
    old, new = case.old.annotation, case.new.annotation
    if not case.both or not old or not new or old == new or any(returns_changed.find(case)):
        return
    if case.touched("unpacks") and places_of_items(old) is not None and places_of_items(old) != places_of_items(new):
        guess = "by its annotation; whether the runtime takes each item apart was not read"
        yield case.finding("annotation-changed", "loud", f"holds other items: is said to be {new}, was {old}", guess)
    elif case.hooked or case.touched("unpacks", "reads"):
        yield case.finding("annotation-changed", "look", f"is said to be {new}, was {old}")


def places_of_items(annotation: str) -> int | None:
    """How many values each item of ``list[tuple[X, Y]]`` has; None if it holds no tuples of one size."""
    written = ast.parse(annotation, mode="eval").body
    if not _is_generic(written, CONTAINERS):
        return None
    item = written.slice  # type: ignore[attr-defined]
    if not _is_generic(item, {"tuple"}):
        return None
    inner = item.slice.elts if isinstance(item.slice, ast.Tuple) else [item.slice]
    open_ended = any(isinstance(one, ast.Constant) and one.value is ... for one in inner)
    return None if open_ended else len(inner)


def _is_generic(written: ast.expr, names: set[str]) -> bool:
    return isinstance(written, ast.Subscript) and ast.unparse(written.value).rpartition(".")[2] in names
