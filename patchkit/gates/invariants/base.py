"""What an invariant is, and the table of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from patchkit.gates.declared import Declared

if TYPE_CHECKING:
    from patchkit.gates.events import Shape, Step
    from patchkit.gates.run import Run
    from patchkit.gates.scenario import Part

Figures = dict[str, float | int | str | None]


class Params(Declared, frozen=True):
    """Parameters that a scenario may give an invariant; this one takes none."""


@dataclass(frozen=True)
class Broken:
    """One thing that did not hold: a line for people, and where it happened."""

    reason: str
    step: int | None = None
    shape: Shape | None = None

    @classmethod
    def at(cls, step: Step, what: str) -> Broken:
        """Broken at a step: the line names the step and its batch shape."""
        return cls(f"{what}, {step}", step.step, step.shape)


Check = Callable[["Run", Any, Figures], Iterator[Broken]]
Rule = TypeVar("Rule", bound=Check)


@dataclass(frozen=True)
class Invariant:
    """One thing that must hold. ``check`` yields what does not, and fills in the figures it came upon."""

    name: str
    check: Check
    params: type[Params]
    watch: str
    passes: tuple[str, ...]

    def read(self, given: dict[str, Any]) -> Params:
        """The parameters a scenario gives; ``ValueError`` names the one that is wrong."""
        try:
            return msgspec.convert(given, self.params)
        except msgspec.ValidationError as error:
            raise ValueError(f"{self.name}: {str(error).replace(' - at `$.', ' - in `')}") from None

    def check_fits(self, part: Part) -> None:
        """Refuse a part that does not watch or run what this invariant judges: it could only ever be red."""
        if self.watch and self.watch not in part.watch:
            raise ValueError(f"{self.name} needs `watch: [{self.watch}]`")
        for needed in self.passes:
            if needed not in part.passes:
                raise ValueError(f"{self.name} needs a {needed} pass")


REGISTRY: dict[str, Invariant] = {}


def invariant(
    params: type[Params] = Params, watch: str = "", passes: tuple[str, ...] = ("patched",)
) -> Callable[[Rule], Rule]:
    """Register a check under its function's name, with what a part must watch and run for it."""

    def register(check: Rule) -> Rule:
        name = check.__name__
        REGISTRY[name] = Invariant(name, check, params, watch, passes)
        return check

    return register


def find_invariant(name: str) -> Invariant:
    """An invariant by name; ``ValueError`` lists those there are."""
    if name not in REGISTRY:
        raise ValueError(f"no invariant is named {name!r}; there are {', '.join(sorted(REGISTRY))}")
    return REGISTRY[name]
