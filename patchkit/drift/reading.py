"""Reads one release: the contract of every symbol of a surface, and which classes vLLM chooses."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from patchkit.drift.class_selection import Selection, SelectionInputs, selected
from patchkit.drift.code_hashes import words_of
from patchkit.drift.contract import CallSite, Contract
from patchkit.drift.contract_reading import contract_of, of_class
from patchkit.drift.effects import effects_of
from patchkit.drift.inference import Inference, Instance, Type
from patchkit.drift.module import Module
from patchkit.drift.overridden_settings import settled_in
from patchkit.drift.package import Definition, Package, Universe, uncollected
from patchkit.drift.syntax import FUNCTIONS
from patchkit.drift.touch import shape_of
from patchkit.series.manifest import Surface

ALIKE = 0.6
"""Share of lines that two functions must have in common to be taken for one that was renamed."""
OF_CLASSES = {"constructs", "derives", "calls", "wraps", "replaces"}
"""Manners for which the constructor and the abstract methods of a class matter."""


class ChosenClass(NamedTuple):
    """Which class must be chosen, where, for which model."""

    symbol: str
    device: str
    architecture: str


@dataclass(frozen=True)
class Choice:
    """What is chosen there; ``hooked``: it certainly is the required class, or derives from it."""

    chosen: tuple[str, ...]
    hooked: bool
    place: str
    rule: tuple[str, ...]
    guessed: tuple[str, ...]

    def named(self) -> tuple[tuple[str, ...], bool]:
        return self.chosen, self.hooked


@dataclass(frozen=True)
class Reading:
    """A surface in one release, without the parsed sources, so that many can be kept.

    ``gained``: methods of the surface's base classes that are new in this release.
    """

    release: str
    origin: str
    published: bool
    contracts: Mapping[str, Contract]
    choices: Mapping[ChosenClass, Choice | None]
    gained: Mapping[str, Contract] = field(default_factory=dict)


@uncollected()
def read(surface: Surface, package: Package, before: Reading | None = None) -> Reading:
    """Read every symbol of ``surface`` in one release.

    Args:
        before: an earlier release; a symbol that only the earlier one has is looked for under other names.
    """
    universe = Universe(package)
    inference = Inference(universe, {name: kind for name, kind in surface.types.items() if name.startswith("vllm.")})
    manners = surface.manners()
    names = [*manners, *(other for others in surface.behind.values() for other in others)]
    contracts = {name: contract_of(name, inference) for name in dict.fromkeys(names)}
    for name, contract in contracts.items():
        if contract.kind == "class" and manners.get(name, set()) & OF_CLASSES:
            contracts[name] = of_class(contract, universe)
        if not contract.there and before is not None and before.contracts[name].there:
            contracts[name] = replace(contract, elsewhere=_elsewhere(before.contracts[name], package, universe))
    for name in surface.keeps:
        found = universe.find(name)
        if found and isinstance(found.node, FUNCTIONS):
            contracts[name] = replace(contracts[name], effects=effects_of(found, inference))
    for name, anchors in surface.text.items():
        found = universe.find(name)
        if found:
            text = found.module.text
            if not isinstance(found.node, ast.Module):
                text = ast.get_source_segment(text, found.node) or ""
            contracts[name] = replace(contracts[name], anchors={one: text.count(one) for one in anchors})
    for name in surface.settings:
        if contracts[name].kind == "attribute":
            folder = _folder(contracts[name])
            settled = {
                place: digest
                for module in package.loaded(folder)
                for place, digest in settled_in(name.rpartition(".")[2], module)
            }
            contracts[name] = replace(contracts[name], settled=settled)
    hooked = [name for name in manners if manners[name] & {"wraps", "replaces"}]
    _add_neighbours(hooked, contracts, surface.called_from, package, inference)
    gained = dict(_gained(surface, contracts, before, inference)) if before else {}
    _add_neighbours(list(gained), gained, [], package, inference)
    source, choices = package.source, dict(_choices(surface, inference))
    return Reading(source.release, source.origin, source.published, contracts, choices, gained)


def _choices(surface: Surface, inference: Inference) -> Iterator[tuple[ChosenClass, Choice | None]]:
    universe = inference.universe
    for symbol, wanted in surface.selected.items():
        hooked = universe.find(symbol)
        for device, by in wanted.by.items():
            for architecture in wanted.architectures:
                found = selected(universe, inference, symbol, by, SelectionInputs(architecture, device))
                chosen = ChosenClass(symbol, device, architecture)
                yield chosen, _choice(found, hooked, universe) if found and hooked else None


def _choice(found: Selection, hooked: Definition, universe: Universe) -> Choice:
    classes = [universe.find(name) for name in found.chosen]
    lineages = [[one.name for one in universe.lineage(each)] for each in classes if each]
    is_hooked = bool(lineages) and len(lineages) == len(classes) and all(hooked.name in line for line in lineages)
    return Choice(found.chosen, is_hooked, found.place, found.rule, found.guessed)


# What a base class has gained.


def _gained(
    surface: Surface, contracts: Mapping[str, Contract], before: Reading, inference: Inference
) -> Iterator[tuple[str, Contract]]:
    """New methods of a base class, without abstract ones and those of the surface."""
    for base in surface.derives:
        old, new = before.contracts[base], contracts[base]
        for name in sorted(new.methods - old.methods - new.abstract - {"__init__"} if old.there else ()):
            if f"{base}.{name}" not in contracts:
                yield f"{base}.{name}", contract_of(f"{base}.{name}", inference)


# Where a symbol has gone.


def _elsewhere(old: Contract, package: Package, universe: Universe) -> str:
    """The full name that a symbol seems to have now; empty if none is found."""
    holder = old.defined.rpartition(".")[0]
    found = universe.find(holder)
    if found and isinstance(found.node, (ast.ClassDef, ast.Module)):
        return _alike(old, found)
    for module in package.below(_folder(old)):
        top, _, rest = old.defined.removeprefix(f"{_module_of(old)}.").partition(".")
        node = module.bindings.get(top)
        if node is not None and not isinstance(node, ast.alias):
            return ".".join(filter(None, (module.name, top, rest)))
    return ""


def _folder(contract: Contract) -> str:
    return f"vllm/{contract.place}".rpartition("/")[0]


def _module_of(old: Contract) -> str:
    return "vllm." + old.place.rpartition(":")[0].removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _alike(old: Contract, holder: Definition) -> str:
    """The function beside it that has most of its lines."""
    best, share = "", ALIKE
    for node in getattr(holder.node, "body", []):
        if isinstance(node, FUNCTIONS) and old.words:
            theirs = words_of(node)
            common = len(old.words & theirs) / len(old.words | theirs) if theirs else 0.0
            if common >= share:
                best, share = f"{holder.name}.{node.name}", common
    return best


# Who calls what is hooked, and who overrides it.


def _add_neighbours(
    hooked: list[str],
    contracts: dict[str, Contract],
    called_from: list[str],
    package: Package,
    inference: Inference,
) -> None:
    found = {name: inference.universe.find(name) for name in hooked}
    there = {name: one for name, one in found.items() if one and one.owner}
    modules = {one.module.name: one.module for one in there.values()}
    for one in there.values():  # a base class calls its own methods, which a class that derives from it overrides
        modules |= {base.module.name: base.module for base in inference.universe.lineage(one.owner or one)}
    for name in called_from:
        modules |= _with_bases(package.module(name), inference.universe)
    sites = list(_call_sites({name.rpartition(".")[2] for name in there}, list(modules.values()), inference))
    for name, definition in there.items():
        holder = inference.universe.find(name.rpartition(".")[0])
        assert definition.owner is not None and holder is not None
        family = {one.name for one in inference.universe.lineage(holder)}
        own = [(kind, site) for method, kind, site in sites if method == name.rpartition(".")[2]]
        callers = tuple(site for kind, site in own if _calls(kind, family, inference))
        perhaps = tuple(site for kind, site in own if kind is None)
        overriders = (*_overriders(name, holder, package, inference.universe), *_assigned(name, holder))
        contracts[name] = replace(contracts[name], callers=callers, perhaps_called=perhaps, overriders=overriders)


def _with_bases(module: Module | None, universe: Universe) -> dict[str, Module]:
    """A module, and those in which the base classes of its classes are defined."""
    if module is None:
        return {}
    classes = [
        Definition(f"{module.name}.{one.name}", one, module)
        for one in module.tree.body
        if isinstance(one, ast.ClassDef)
    ]
    bases = [base.module for each in classes for base in universe.lineage(each)]
    return {module.name: module} | {one.name: one for one in bases}


def _calls(kind: Type | None, family: set[str], inference: Inference) -> bool:
    """Whether a call on an object of this type may reach a method of the family; an unknown type does not count."""
    return isinstance(kind, Instance) and any(one.name in family for one in inference.universe.lineage(kind.of))


def _call_sites(
    names: set[str], modules: list[Module], inference: Inference
) -> Iterator[tuple[str, Type | None, CallSite]]:
    """Every ``x.name(…)`` in methods and functions of some modules, with the type of ``x``."""
    written = re.compile(rf"\.({'|'.join(map(re.escape, sorted(names)))})\(")
    for module in modules:
        lines = [module.text.count("\n", 0, found.start()) + 1 for found in written.finditer(module.text)]
        for owner, function in _functions(module):
            if not any(function.lineno <= line <= (function.end_lineno or 0) for line in lines):
                continue
            calls = [
                node
                for node in ast.walk(function)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names
            ]
            scope = inference.parameters(function, module, owner) if calls else {}
            for call in calls:
                assert isinstance(call.func, ast.Attribute)
                shape = shape_of(call)
                site = CallSite(
                    module.place(call), function.name, shape.positional, shape.keywords, shape.rest or shape.named
                )
                yield call.func.attr, inference.expression(call.func.value, module, scope), site


def _functions(module: Module) -> Iterator[tuple[Definition | None, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in module.tree.body:
        if isinstance(node, FUNCTIONS):
            yield None, node
        elif isinstance(node, ast.ClassDef):
            owner = Definition(f"{module.name}.{node.name}", node, module)
            yield from ((owner, one) for one in node.body if isinstance(one, FUNCTIONS))


def _overriders(symbol: str, holder: Definition, package: Package, universe: Universe) -> Iterator[str]:
    """Classes in files beside that derive from the hooked class and have a method of their own in its place."""
    name = symbol.rpartition(".")[2]
    for module in package.siblings(holder.module):
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and any(
                isinstance(one, FUNCTIONS) and one.name == name for one in node.body
            ):
                owner = Definition(f"{module.name}.{node.name}", node, module)
                if any(one.name == holder.name for one in universe.lineage(owner)):
                    yield f"{owner.name} has a method of its own in its place"


def _assigned(symbol: str, holder: Definition) -> Iterator[str]:
    """Assignments that replace a method where it stands: ``Class.name = …`` in its module, ``self.name = …`` inside."""
    name = symbol.rpartition(".")[2]
    if not isinstance(holder.node, ast.ClassDef):
        return
    for statement in holder.module.tree.body:
        if isinstance(statement, ast.Assign) and f"{holder.node.name}.{name}" in map(ast.unparse, statement.targets):
            yield f"{ast.unparse(statement)[:60]} replaces it"
    if any(isinstance(one, FUNCTIONS) and one.name == name for one in holder.node.body):
        for setting in holder.module.set_on_self(holder.node).get(name, []):
            yield f"{ast.unparse(setting.statement)[:60]} replaces it on the object"
