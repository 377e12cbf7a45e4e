"""What a class asks of whoever constructs it, derives from it, or sets its attributes."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from patchkit.drift.package import Definition, Universe
from patchkit.drift.syntax import FUNCTIONS, is_property

RECORDS = ("BaseModel", "Struct", "NamedTuple", "TypedDict")
"""Base classes that make a constructor out of annotated fields."""
PLAIN = ("object", "ABC", "Protocol", "Generic", "type")
"""Base classes that add nothing to a constructor."""


def fields_of(holder: Definition, universe: Universe) -> list[tuple[ast.AnnAssign, bool]] | None:
    """The fields of a dataclass, a named tuple or the like, and whether each may only be given by keyword.

    In the order in which a constructor takes them: inherited ones first, those by keyword last. None if it is no such
    class.
    """
    line = list(universe.lineage(holder))
    if not any(_is_record(one) for one in line):
        return None
    fields: dict[str, tuple[ast.AnnAssign, bool]] = {}
    for owner in reversed(line):
        assert isinstance(owner.node, ast.ClassDef)
        by_keyword = keyword_only(owner)
        for one in owner.node.body:
            if isinstance(one, ast.AnnAssign):
                by_keyword |= ast.unparse(one.annotation).endswith("KW_ONLY")
                if _is_field(one):
                    fields[_name(one)] = one, by_keyword or _given_to_field(one, "kw_only", "True")
    return sorted(fields.values(), key=lambda field: field[1])


def constructor_known(holder: Definition, universe: Universe) -> bool:
    """Whether the sources show what a class without an ``__init__`` takes: no base class of it lies elsewhere."""
    for owner in universe.lineage(holder):
        assert isinstance(owner.node, ast.ClassDef)
        for base in owner.node.bases:
            name = ast.unparse(base).partition("[")[0].rpartition(".")[2]
            if name not in (*PLAIN, *RECORDS) and universe.named(base, owner.module) is None:
                return False
    return True


def keyword_only(holder: Definition) -> bool:
    """``@dataclass(kw_only=True)``, and what always is."""
    assert isinstance(holder.node, ast.ClassDef)
    given = [*holder.node.keywords, *_given(holder.node)]
    return any(one.arg == "kw_only" and ast.unparse(one.value) == "True" for one in given) or any(
        ast.unparse(base).endswith("BaseModel") for base in holder.node.bases
    )


def abstract_of(holder: Definition, universe: Universe) -> frozenset[str]:
    """Names of the methods that whatever derives from a class must define."""
    found: dict[str, bool] = {}
    for owner in reversed(list(universe.lineage(holder))):
        assert isinstance(owner.node, ast.ClassDef)
        for one in owner.node.body:
            if isinstance(one, FUNCTIONS):
                found[one.name] = any("abstract" in ast.unparse(each) for each in one.decorator_list)
    return frozenset(name for name, abstract in found.items() if abstract)


def methods_of(holder: Definition, universe: Universe) -> frozenset[str]:
    bodies = [one for owner in universe.lineage(holder) for one in getattr(owner.node, "body", ())]
    return frozenset(one.name for one in bodies if isinstance(one, FUNCTIONS))


def is_read_only(found: Definition) -> bool:
    """Whether setting an attribute raises: a property without a setter, or a field of a frozen class."""
    if found.owner is None or not isinstance(found.owner.node, ast.ClassDef):
        return False
    body = found.owner.node.body
    if isinstance(found.node, FUNCTIONS) and is_property(found.node):
        name = found.node.name
        setters = [one for one in body if isinstance(one, FUNCTIONS) and one.name == name and one is not found.node]
        cached = any("cached_property" in ast.unparse(one) for one in found.node.decorator_list)
        return not cached and not any(ast.unparse(d).endswith(".setter") for one in setters for d in one.decorator_list)
    given = [*found.owner.node.keywords, *_given(found.owner.node)]
    frozen = any(one.arg == "frozen" and ast.unparse(one.value) == "True" for one in given)
    return found.node in body and (frozen or any(ast.unparse(b).endswith("NamedTuple") for b in found.owner.node.bases))


def _is_record(owner: Definition) -> bool:
    assert isinstance(owner.node, ast.ClassDef)
    bases = [ast.unparse(base).rpartition(".")[2] for base in owner.node.bases]
    made = [ast.unparse(one).partition("(")[0].rpartition(".")[2] for one in owner.node.decorator_list]
    return bool({*bases} & {*RECORDS}) or any(one in ("dataclass", "config", "define", "attrs") for one in made)


def _given(node: ast.ClassDef) -> Iterator[ast.keyword]:
    for one in node.decorator_list:
        if isinstance(one, ast.Call):
            yield from one.keywords


def _is_field(statement: ast.AnnAssign) -> bool:
    said = ast.unparse(statement.annotation)
    if not isinstance(statement.target, ast.Name) or "ClassVar" in said or said.endswith("KW_ONLY"):
        return False
    return not _given_to_field(statement, "init", "False")


def _given_to_field(statement: ast.AnnAssign, name: str, value: str) -> bool:
    made = statement.value
    given = made.keywords if isinstance(made, ast.Call) else []
    return any(one.arg == name and ast.unparse(one.value) == value for one in given)


def _name(statement: ast.AnnAssign) -> str:
    assert isinstance(statement.target, ast.Name)
    return statement.target.id
