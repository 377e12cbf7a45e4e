"""What a model is: read off one release's model registry and the classes that it names, which are never run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from patchkit.drift.package import Definition, Module, Universe

REGISTRY = "vllm.model_executor.models.registry"
MODELS = "vllm.model_executor.models"
EXPERTS = re.compile(r"FusedMoE(?!\w*Config)")
"""What a layer of experts is made by: ``FusedMoE``, ``SharedFusedMoE``, ``FusedMoEFactory``."""
LATENT = re.compile(r"MLAAttention|MultiHeadLatentAttention")
LAYERS = {"is_moe": EXPERTS, "use_mla": LATENT}
"""Traits that show in which layers the model's classes make."""
MARKS = ("is_hybrid", "is_attention_free", "has_inner_state")
"""Traits that vLLM's model classes say of themselves, by a class attribute that is true."""
MOST_CLASSES = 200
"""Classes that are followed from one model; the largest has about 40."""


@dataclass(frozen=True)
class Trait:
    """Whether a model has something, and the place that shows it; ``guessed`` says why it is not known, if so."""

    value: bool
    place: str = ""
    guessed: str = ""


@dataclass
class Model:
    """One architecture in one release.

    Attributes:
        architecture: as a checkpoint's ``config.json`` has it, ``MixtralForCausalLM``.
        asked: the traits that were looked up so far.
    """

    universe: Universe
    architecture: str
    asked: dict[str, Trait] = field(default_factory=dict)

    def trait(self, name: str) -> Trait:
        """One of :data:`LAYERS` or :data:`MARKS`; off and guessed where the release does not show it."""
        if name not in self.asked:
            self.asked[name] = self._read(name)
        return self.asked[name]

    def _read(self, name: str) -> Trait:
        if self._found is None:
            return Trait(False, guessed=f"{name} of {self.architecture}: the registry names no class that was found")
        if name in MARKS:
            return _marked(self._found, name, self.universe)
        if name in self._made:
            return Trait(True, self._made[name])
        if self._unfollowed:
            return Trait(False, guessed=f"{name} of {self.architecture}: {self._unfollowed} was not found")
        return Trait(False, self._found.place)

    @cached_property
    def _found(self) -> Definition | None:
        """The class that runs it, by the registry."""
        registry = self.universe.module(REGISTRY)
        entry = registered(registry).get(self.architecture) if registry else None
        if entry is None:
            return None
        folder, name = entry
        module = folder if folder.startswith("vllm.") else f"{MODELS}.{folder}"
        found = self.universe.find(f"{module}.{name}")
        return found if found and isinstance(found.node, ast.ClassDef) else None

    @cached_property
    def _walk(self) -> tuple[dict[str, str], str]:
        """The traits whose layers are made, with places; and a part of the model that could not be found."""
        assert self._found is not None
        made: dict[str, str] = {}
        waiting, seen, lost = [self._found], {self._found.name}, ""
        while waiting and len(seen) < MOST_CLASSES:
            one = waiting.pop()
            for trait, pattern in LAYERS.items():
                place = _makes(one, pattern)
                if place:
                    made.setdefault(trait, place)
            for name, part in _parts(one, self.universe):
                if part is None:
                    lost = lost or f"{name} ({one.place})"
                elif part.name not in seen:
                    seen.add(part.name)
                    waiting.append(part)
        return made, lost

    @property
    def _made(self) -> dict[str, str]:
        return self._walk[0]

    @property
    def _unfollowed(self) -> str:
        return self._walk[1]


class Facts(Mapping[str, object]):
    """What is assumed of a model's circumstances, and what its classes show, looked up when it is asked for.

    Attributes:
        given: what is known or assumed without the model.
        unread: of those, what the sources do not show and was assumed -> why; kept in ``used`` once it is asked for.
    """

    def __init__(self, model: Model, given: Mapping[str, object], unread: Mapping[str, str]) -> None:
        self._model, self._given, self._unread = model, given, unread
        self.used: dict[str, str] = {}

    def __getitem__(self, name: str) -> object:
        if name in LAYERS or name in MARKS:
            return self._model.trait(name).value
        if name in self._unread:
            self.used[name] = self._unread[name]
        return self._given[name]

    def __contains__(self, name: object) -> bool:
        return name in LAYERS or name in MARKS or name in self._given

    def __iter__(self) -> Iterator[str]:
        return iter((*LAYERS, *MARKS, *self._given))

    def __len__(self) -> int:
        return len(LAYERS) + len(MARKS) + len(self._given)

    @property
    def rule(self) -> list[str]:
        """The traits that were asked for and are known, with places."""
        known = {name: trait for name, trait in self._model.asked.items() if not trait.guessed}
        said = self._model.architecture
        return [f"{name} of {said} is {str(one.value).lower()} ({one.place})" for name, one in known.items()]

    @property
    def guessed(self) -> list[str]:
        """What was asked for and is not known: it was taken as off."""
        return [*(one.guessed for one in self._model.asked.values() if one.guessed), *self.used.values()]


def registered(registry: Module) -> dict[str, tuple[str, str]]:
    """Architecture -> module and class, by the tables of the registry: ``"Arch": ("llama", "LlamaForCausalLM")``."""
    found: dict[str, tuple[str, str]] = {}
    for statement in registry.tree.body:
        value = getattr(statement, "value", None)
        if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or not isinstance(value, ast.Dict):
            continue
        for key, entry in zip(value.keys, value.values, strict=True):
            pair = _strings(entry)
            if isinstance(key, ast.Constant) and isinstance(key.value, str) and len(pair) == 2:
                found.setdefault(key.value, (pair[0], pair[1]))
    return found


def _strings(entry: ast.expr) -> list[str]:
    values = [one.value for one in getattr(entry, "elts", ()) if isinstance(one, ast.Constant)]
    return [value for value in values if isinstance(value, str)]


def _marked(model: Definition, name: str, universe: Universe) -> Trait:
    """What a class attribute says, the class's own or inherited."""
    found = universe.class_member(model, name)
    if found is None:
        lost = next((base for one in universe.lineage(model) for base in _lost_bases(one, universe)), "")
        return Trait(False, model.place, f"{name} of {model.name}: its base class {lost} was not found" if lost else "")
    value = getattr(found.node, "value", None)
    if isinstance(value, ast.Constant) and isinstance(value.value, bool):
        return Trait(value.value, found.place)
    return Trait(False, found.place, f"{name} of {model.name} is not written out ({found.place})")


def _lost_bases(owner: Definition, universe: Universe) -> Iterator[str]:
    """Base classes that are vLLM's own and were not found."""
    for base in getattr(owner.node, "bases", ()):
        root = ast.unparse(base).partition("[")[0].partition(".")[0]
        if (
            owner.module.origins.get(root, ("", ""))[0].startswith("vllm.")
            and universe.named(base, owner.module) is None
        ):
            yield ast.unparse(base)


def _makes(owner: Definition, pattern: re.Pattern[str]) -> str:
    """Where a class makes a layer of this name, itself or by a method of it that makes one; empty if nowhere."""
    for node in ast.walk(owner.node):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            last = name.rpartition(".")[2]
            if pattern.search(name) and not last.startswith(("make_expert", "get_")):
                return f"{owner.module.path.partition('/')[2]}:{node.lineno}"
    return ""


def _parts(owner: Definition, universe: Universe) -> Iterator[tuple[str, Definition | None]]:
    """The model classes that a class derives from or names; None for one of vLLM's models that was not found."""
    for name in sorted(_named_in(owner.node)):
        origin = owner.module.origins.get(name, (owner.module.name, ""))[0]
        if not origin.startswith((MODELS, owner.module.name, "vllm.models")):
            continue
        found = universe.top_level(owner.module, name)
        if found is None and name in owner.module.origins and name[:1].isupper():
            yield name, None
        elif found is not None and isinstance(found.node, ast.ClassDef):
            yield name, found


def _named_in(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
