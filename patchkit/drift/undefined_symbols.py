"""Declared symbols that neither of two releases has: misspelt, or out of sight."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator

from patchkit.drift.contract_reading import NO_CONSTRUCTOR
from patchkit.drift.findings import Finding
from patchkit.drift.package import Definition, Package, Universe
from patchkit.drift.reading import Reading
from patchkit.release import version_of
from patchkit.series.manifest import Surface

KIND = "not-found"
NEAREST = 3


def absent(surface: Surface, old: Reading, new: Reading, seen: set[str], package: Package) -> Iterator[Finding]:
    """One finding for each declared symbol that neither release has.

    Args:
        seen: symbols that an earlier release of the same run had: that they went was said there.
        package: the newer release.
    """
    universe = Universe(package)
    for name, contract in new.contracts.items():
        if contract.there or old.contracts[name].there:
            if name in surface.constructs and NO_CONSTRUCTOR in (contract.guessed or old.contracts[name].guessed):
                yield Finding(KIND, "loud", name, f"{NO_CONSTRUCTOR}, so it was not compared", new=contract.place)
        elif name not in seen and any(surface.expects(name, version_of(each.release)) for each in (old, new)):
            said = f"is neither in {old.release} nor in {new.release}{_hint(name, package, universe)}"
            yield Finding(KIND, "loud", name, said)
    for chosen, choice in new.choices.items():
        if choice is None and old.choices.get(chosen) is None:
            said = f"neither release shows which class runs {chosen.architecture} on {chosen.device}"
            yield Finding(KIND, "silent", chosen.symbol, said)


def _hint(name: str, package: Package, universe: Universe) -> str:
    """What to look at: the nearest names, or the ``__getattr__`` behind which it may be."""
    holder, rest = _holder(name, universe)
    if holder is None:
        return ""
    if isinstance(holder.node, ast.Module) and "__getattr__" in holder.module.bindings:
        place = holder.module.place(holder.module.bindings["__getattr__"])
        return f"; `__getattr__` at {place} may have it, which cannot be followed: name it where it is defined"
    near = difflib.get_close_matches(rest, sorted(_members(holder, package, universe)), NEAREST)
    return f"; nearest: {', '.join(f'{holder.name}.{one}' for one in near)}" if near else ""


def _holder(name: str, universe: Universe) -> tuple[Definition | None, str]:
    """The longest part of a name that is there, and the word behind it."""
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        found = universe.find(".".join(parts[:cut]))
        if found is not None:
            return found, parts[cut]
    return None, name


def _members(holder: Definition, package: Package, universe: Universe) -> set[str]:
    if isinstance(holder.node, ast.Module):
        return {*holder.module.bindings, *package.modules_in(holder.module)}
    names: set[str] = set()
    for owner in universe.lineage(holder):
        if isinstance(owner.node, ast.ClassDef):
            names |= {*owner.module.set_on_self(owner.node), *owner.module.in_body(owner.node)}
    return names
