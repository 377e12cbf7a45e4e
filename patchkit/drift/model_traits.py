"""Traits of a model, read from a release's model registry and the classes that it names, without running them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from patchkit.drift.layers import LAYERS, MODELS, Layers, layers_of
from patchkit.drift.module import Module
from patchkit.drift.package import Definition, Universe
from patchkit.drift.syntax import FUNCTIONS

REGISTRY = "vllm.model_executor.models.registry"
MARKS = ("is_hybrid", "is_attention_free", "has_inner_state")
"""Traits that vLLM's model classes declare by a class attribute that is true."""
SETTLED_BY = "vllm.config.ModelConfig"
"""The class whose properties of the same names may also read the checkpoint's configuration."""


@dataclass(frozen=True)
class Trait:
    """Whether a model has something, and the place that shows it.

    ``guessed`` says why it is unknown, or what it depends on; ``value`` is then the assumed one.
    """

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
        """One of :data:`LAYERS` or :data:`MARKS`; guessed where the release does not show it."""
        if name not in self.asked:
            self.asked[name] = self._read(name)
        return self.asked[name]

    def _read(self, name: str) -> Trait:
        said = f"{name} of {self.architecture}"
        if self._found is None:
            return Trait(False, guessed=f"{said}: the registry names no class that was found")
        if name in MARKS:
            return self._settled(name, _marked(self._found, name, self.universe))
        made = self._layers.made.get(name)
        if made and (not made.test or name in self._layers.said):
            return Trait(True, made.place)
        by_name = name == "is_moe" and "moe" in self.architecture.lower()
        as_what = "; taken for one by its name" if by_name else ""
        if made:
            return Trait(by_name, made.place, f"{said}: only where {made.test}, which the checkpoint says{as_what}")
        if self._layers.lost:
            return Trait(by_name, guessed=f"{said}: {self._layers.lost}{as_what}")
        return Trait(False, self._found.place)

    def _settled(self, name: str, mark: Trait) -> Trait:
        """A mark, and whether the checkpoint may override it, by a field that the model's own code reads too."""
        asked = _checkpoint_test(name, self.universe) if mark.value else None
        texts = [module.text for module in self._layers.modules.values()] if asked else []
        if asked and any(asked.field in text and f'"{asked.value}"' in text for text in texts):
            on = f"depends on `{asked.field}` of the checkpoint ({asked.place})"
            return Trait(mark.value, mark.place, f"{name} of {self.architecture}: {on}")
        return mark

    @cached_property
    def _found(self) -> Definition | None:
        return self._registered.get(self.architecture)

    @cached_property
    def _registered(self) -> Registered:
        return Registered(self.universe)

    @cached_property
    def _layers(self) -> Layers:
        assert self._found is not None
        return layers_of(self._found, self._registered, self.universe)


class Registered(Mapping[str, Definition | None]):
    """Architecture -> its class, by the registry; None for a class that was not found."""

    def __init__(self, universe: Universe) -> None:
        self._universe = universe
        registry = universe.module(REGISTRY)
        self._entries = registered(registry) if registry else {}

    def __getitem__(self, architecture: str) -> Definition | None:
        folder, name = self._entries[architecture]
        module = folder if folder.startswith("vllm.") else f"{MODELS}.{folder}"
        found = self._universe.find(f"{module}.{name}")
        return found if found and isinstance(found.node, ast.ClassDef) else None

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class Facts(Mapping[str, object]):
    """The assumed settings and the traits that a model's classes show, looked up on demand.

    Attributes:
        given: what is known or assumed without the model.
        unread: those of ``given`` that the sources do not show and were assumed -> why; added to ``used`` when read.
        otherwise: traits that are inverted, to see whether they matter.
    """

    def __init__(
        self,
        model: Model,
        given: Mapping[str, object],
        unread: Mapping[str, str],
        otherwise: frozenset[str] = frozenset(),
    ) -> None:
        self._model, self._given, self._unread, self._otherwise = model, given, unread, otherwise
        self.used: dict[str, str] = {}

    def inverting(self, names: Iterable[str]) -> Facts:
        return Facts(self._model, self._given, self._unread, frozenset(names))

    def __getitem__(self, name: str) -> object:
        if name in LAYERS or name in MARKS:
            return self._model.trait(name).value is not (name in self._otherwise)
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
        known = {name: trait for name, trait in self._model.asked.items() if not trait.guessed}
        said = self._model.architecture
        return [f"{name} of {said} is {str(one.value).lower()} ({one.place})" for name, one in known.items()]

    @property
    def guessed_traits(self) -> list[str]:
        return [name for name, one in self._model.asked.items() if one.guessed]

    def guessed(self, traits: Iterable[str]) -> list[str]:
        """What was used and is not known; of the traits only these."""
        return [*(self._model.asked[name].guessed for name in traits), *self.used.values()]


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
    for base in getattr(owner.node, "bases", ()):
        root = ast.unparse(base).partition("[")[0].partition(".")[0]
        if (
            owner.module.origins.get(root, ("", ""))[0].startswith("vllm.")
            and universe.named(base, owner.module) is None
        ):
            yield ast.unparse(base)


class CheckpointTest(NamedTuple):
    """A field of the checkpoint's configuration, the value that decides, and where it is compared."""

    field: str
    value: str
    place: str


def _checkpoint_test(name: str, universe: Universe) -> CheckpointTest | None:
    """The comparison in vLLM's property of this name, such as ``layer_types`` with "attention"."""
    found = universe.find(f"{SETTLED_BY}.{name}")
    if found is None or not isinstance(found.node, FUNCTIONS):
        return None
    nodes = list(ast.walk(found.node))
    fields = [_text(one.args[1:2]) for one in nodes if isinstance(one, ast.Call) and ast.unparse(one.func) == "getattr"]
    values = [_text(one.comparators) for one in nodes if isinstance(one, ast.Compare)]
    both = next(filter(None, fields), ""), next(filter(None, values), "")
    return CheckpointTest(*both, found.place) if all(both) else None


def _text(values: list[ast.expr]) -> str:
    """The first of some expressions, if it is a string."""
    first = values[0] if values else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
