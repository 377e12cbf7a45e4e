"""Which layers a model's classes create, and whether that depends on the checkpoint's configuration."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from patchkit.drift.module import Module
from patchkit.drift.package import Definition, Universe
from patchkit.drift.syntax import FUNCTIONS, targets

MODELS = "vllm.model_executor.models"
EXPERTS = re.compile(r"FusedMoE(?!\w*Config)")
"""What a layer of experts is made by: ``FusedMoE``, ``SharedFusedMoE``, ``FusedMoEFactory``."""
LATENT = re.compile(r"MLAAttention|MultiHeadLatentAttention")
LAYERS = {"is_moe": EXPERTS, "use_mla": LATENT}
"""Traits that show in which layers the model's classes make."""
SAID_BY_BASE = {"is_moe": "MixtureOfExperts"}
"""Base classes by which vLLM declares that a model has such layers, regardless of tests."""
CONFIGURATION = re.compile(r"(\w*hf_|text_|model_|llm_)?config")
"""Names that code gives to what a checkpoint's ``config.json`` says; ``quant_config`` is none of them."""
INNER = ("init_vllm_registered_model", "initialize_model")
"""Functions that make the model of an architecture, which they are given or take from the configuration."""
MOST_CLASSES = 200
"""Classes that are followed from one model; the largest has about 40."""
FOLLOWED = 3
"""Assignments that are followed from a test to the configuration."""


class Made(NamedTuple):
    """Where a layer is made; ``test``: the test on the configuration it is made under, if any."""

    place: str
    test: str = ""


@dataclass
class Layers:
    """What was seen of one model.

    Attributes:
        made: trait -> where its layer is made, without a test if it is anywhere made so.
        lost: a part of the model that could not be found; empty if there is none.
        modules: the files that were read.
        said: traits of :data:`SAID_BY_BASE` of a class that is a part for certain -> its place.
    """

    made: dict[str, Made] = field(default_factory=dict)
    lost: str = ""
    modules: dict[str, Module] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)


def layers_of(model: Definition, registered: Mapping[str, Definition | None], universe: Universe) -> Layers:
    """Follow a model's class to all its parts, those that it always has first.

    Args:
        registered: architecture -> its class, for models inside of this one.
    """
    seen = Layers()
    always, perhaps = [(model, "")], list[tuple[Definition, str]]()
    followed: set[str] = set()
    while (always or perhaps) and len(followed) < MOST_CLASSES:
        part, test = always.pop() if always else perhaps.pop()
        if part.name in followed:
            continue
        followed.add(part.name)
        seen.modules[part.module.name] = part.module
        for other, under in _look_at(part, test, seen, registered, universe):
            (perhaps if under else always).append((other, under))
    if always or perhaps:
        seen.lost = seen.lost or "one of more parts than are followed"
    return seen


def _look_at(
    part: Definition, test: str, seen: Layers, registered: Mapping[str, Definition | None], universe: Universe
) -> Iterator[tuple[Definition, str]]:
    """What one class or function adds to ``seen``, and its own parts with the tests that they are made under."""
    where = part.module.path.partition("/")[2]
    for trait, base in SAID_BY_BASE.items():
        if not test and any(base in ast.unparse(one) for one in getattr(part.node, "bases", ())):
            seen.said.setdefault(trait, part.place)
    uses = _uses(part, where)
    _add_layers(uses, where, test, seen)
    for use in uses.names.values():
        for other in _behind(use.name, part, universe):
            if other is None:
                seen.lost = seen.lost or f"{use.name} ({part.place}) was not found"
            else:
                yield other, test or use.test
    for line, named in uses.inner:
        for architecture, under in named or [("", "")]:
            inner = registered.get(architecture)
            if inner is not None:
                yield inner, test or under
            else:
                why = f"{architecture} was not found" if architecture else "the checkpoint names the model inside of it"
                seen.lost = seen.lost or f"{why} ({where}:{line})"


def _add_layers(uses: Uses, where: str, test: str, seen: Layers) -> None:
    for use in uses.layers:
        for trait in [trait for trait, pattern in LAYERS.items() if pattern.search(use.name)]:
            made = Made(f"{where}:{use.line}", test or use.test)
            if trait not in seen.made or (seen.made[trait].test and not made.test):
                seen.made[trait] = made


# The names that a class uses, and under which tests.


class Use(NamedTuple):
    """A name that code uses, and the test on the configuration that leads there, if any."""

    name: str
    line: int
    test: str


@dataclass
class Uses:
    """The uses in one class or function.

    Attributes:
        names: by name; one without a test where there is any.
        layers: calls of anything that :data:`LAYERS` knows.
        inner: lines of calls of :data:`INNER`, and the architectures that each may make, with tests.
    """

    names: dict[str, Use] = field(default_factory=dict)
    layers: list[Use] = field(default_factory=list)
    inner: list[tuple[int, list[tuple[str, str]]]] = field(default_factory=list)


def _uses(part: Definition, where: str) -> Uses:
    seen = Uses()
    reader = _Reader(seen, _assigned(part.node), where)
    if isinstance(part.node, (ast.Assign, ast.AnnAssign)):
        reader.read(part.node, "")
    else:
        for child in ast.iter_child_nodes(part.node):
            reader.read(child, "")
    for line, call in reader.inner:
        seen.inner.append((line, list(reader.architectures(call))))
    return seen


@dataclass
class _Reader:
    seen: Uses
    assigned: Mapping[str, list[ast.expr]]
    where: str
    inner: list[tuple[int, ast.Call]] = field(default_factory=list)
    _under: dict[int, str] = field(default_factory=dict)

    def read(self, node: ast.AST, test: str) -> None:
        """Every use below a node; annotations and tests use nothing that the model is made of."""
        if isinstance(node, ast.arg):
            return
        if isinstance(node, (ast.If, ast.IfExp)):
            self._branches(node, test)
            return
        if isinstance(node, ast.Name):
            self._use(node, test)
        if isinstance(node, ast.Call):
            self._call(node, test)
            if _last(node.func) in ("isinstance", "issubclass"):
                return
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            self._under[id(node.value)] = test
        skipped = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        for child in ast.iter_child_nodes(node):
            if child not in skipped:
                self.read(child, test)

    def _branches(self, node: ast.If | ast.IfExp, test: str) -> None:
        on = self._on_configuration(node.test)
        said = f"`{ast.unparse(node.test)}` ({self.where}:{node.test.lineno})" if on else ""
        for branch, under in ((node.body, said), (node.orelse, said and f"not {said}")):
            for inner in branch if isinstance(branch, list) else [branch]:
                self.read(inner, test or under)

    def _use(self, node: ast.Name, test: str) -> None:
        before = self.seen.names.get(node.id)
        if before is None or (before.test and not test):
            self.seen.names[node.id] = Use(node.id, node.lineno, test)

    def _call(self, node: ast.Call, test: str) -> None:
        if _last(node.func) in INNER:
            self.inner.append((node.lineno, node))
            self._under[id(node)] = test
        name, last = _dotted(node.func), _last(node.func)
        if any(one.search(name) for one in LAYERS.values()) and not last.startswith(("make_expert", "get_")):
            self.seen.layers.append(Use(name, node.lineno, test))

    def architectures(self, call: ast.Call) -> Iterator[tuple[str, str]]:
        """The first architecture of each list that a call may be given, an empty name where one is not written out."""
        under = self._under.get(id(call), "")
        for inner in ast.walk(call):
            if isinstance(inner, ast.List):
                yield _first_text(inner), under
            elif isinstance(inner, ast.keyword) and inner.arg == "architectures" and isinstance(inner.value, ast.Name):
                for value in self.assigned.get(inner.value.id, []):
                    yield _first_text(value), under or self._under.get(id(value), "")

    def _on_configuration(self, test: ast.expr) -> bool:
        """Whether a test asks the configuration, by itself or by what its names were assigned."""
        waiting, followed = [test], set[str]()
        for _ in range(FOLLOWED):
            names = {name for one in waiting for name in _names_in(one)}
            if any(CONFIGURATION.fullmatch(part) for name in names for part in name.split(".")):
                return True
            waiting = [value for name in names - followed for value in self.assigned.get(name, ())]
            followed |= names
        return False


def _assigned(node: ast.AST) -> dict[str, list[ast.expr]]:
    """What is assigned to local names and to attributes of ``self``, by the name as written."""
    found: dict[str, list[ast.expr]] = {}
    for one in ast.walk(node):
        if isinstance(one, (ast.Assign, ast.AnnAssign)) and one.value is not None:
            for target in targets(one):
                found.setdefault(_dotted(target), []).append(one.value)
    return found


def _names_in(node: ast.AST) -> Iterator[str]:
    for one in ast.walk(node):
        if isinstance(one, (ast.Name, ast.Attribute)) and (name := _dotted(one)):
            yield name


def _first_text(value: ast.expr) -> str:
    first = value.elts[0] if isinstance(value, ast.List) and value.elts else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def _dotted(node: ast.expr) -> str:
    """``a.b.c`` as written; for other expressions only the attributes after them."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _last(node: ast.expr) -> str:
    return _dotted(node).rpartition(".")[2]


# What is behind a name.


def _behind(name: str, part: Definition, universe: Universe) -> Iterator[Definition | None]:
    """The part of a model that a name stands for; None for one of vLLM's models that was not found."""
    module = part.module
    if not module.origins.get(name, (module.name, ""))[0].startswith((MODELS, module.name, "vllm.models")):
        return
    found = universe.top_level(module, name)
    if found is None:
        if name in module.origins and name[:1].isupper() and not _is_foreign(name, module, universe):
            yield None
    elif isinstance(found.node, ast.ClassDef) or (
        found.module is module and isinstance(found.node, (*FUNCTIONS, ast.Assign, ast.AnnAssign))
    ):
        yield found


def _is_foreign(name: str, module: Module, universe: Universe) -> bool:
    """Whether a name comes, by way of vLLM's modules, from a package that is not vLLM's."""
    for _ in range(FOLLOWED):
        origin, original = module.origins.get(name, ("vllm", ""))
        if origin.partition(".")[0] != "vllm":
            return True
        behind = universe.module(origin)
        if behind is None:
            return False
        module, name = behind, original or name
    return False
