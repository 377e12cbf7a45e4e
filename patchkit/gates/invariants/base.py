"""The invariant type, the table of those that hold for any runtime, and the tables of runtimes' own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from patchkit.gates.declared import Declared

if TYPE_CHECKING:
    from patchkit.gates.events import BatchShape, Step
    from patchkit.gates.part_run import Run
    from patchkit.gates.scenario import Part

Figures = dict[str, float | int | str | None]


class Params(Declared, frozen=True):
    """Parameters that a scenario may give an invariant; this one takes none."""


@dataclass(frozen=True)
class Broken:
    """One violation: a line for people, and where it happened."""

    reason: str
    step: int | None = None
    shape: BatchShape | None = None

    @classmethod
    def at(cls, step: Step, what: str) -> Broken:
        """Broken at a step: the line names the step and its batch shape."""
        return cls(f"{what}, {step}", step.step, step.shape)


@dataclass(frozen=True)
class SummaryClause:
    """How figures read in the one-line summary of a green verdict.

    Attributes:
        rank: only the clauses with the smallest ranks are shown.
        of: from a verdict's figures, in which a name that two parts use is ``part.name``, to phrases.
    """

    rank: int
    of: Callable[[Figures], list[str]]


def count_clause(rank: int, figure: str, words: str) -> SummaryClause:
    """``2,000 rows compared``: the figures of this name of all parts, added up; ``words`` has a {} for the sum."""

    def of(figures: Figures) -> list[str]:
        total = sum(value for _, value in parts_of(figures, figure))
        return [words.format(f"{total:,.0f}")] if total else []

    return SummaryClause(rank, of)


def parts_of(figures: Figures, figure: str) -> Iterator[tuple[str, float]]:
    """The numbers of this name, each with ``part.`` before it where several parts have it."""
    for name, value in figures.items():
        part, dot, plain = name.rpartition(".")
        if plain == figure and isinstance(value, int | float):
            yield part + dot, value


Check = Callable[["Run", Any, Figures], Iterator[Broken]]
Checked = TypeVar("Checked", bound=Check)


@dataclass(frozen=True)
class Invariant:
    """One condition. ``check`` yields each violation, and fills in the figures that it measured.

    Attributes:
        watch, passes: what a part must watch and run for it to be judged.
        ending: it judges how a run ended; the others are judged only where none of these objects and no error ended it.
        clauses: how its figures read in a summary.
    """

    name: str
    check: Check
    params: type[Params]
    watch: str
    passes: tuple[str, ...]
    ending: bool = False
    clauses: tuple[SummaryClause, ...] = ()

    def read(self, given: dict[str, Any]) -> Params:
        """The parameters a scenario gives; ``ValueError`` names the one that is wrong."""
        try:
            return msgspec.convert(given, self.params)
        except msgspec.ValidationError as error:
            raise ValueError(f"{self.name}: {str(error).replace(' - at `$.', ' - in `')}") from None

    def check_fits(self, part: Part) -> None:
        """Raise ValueError for a part that does not watch or run what this invariant judges: it would always be red."""
        if self.watch and self.watch not in part.watch:
            raise ValueError(f"{self.name} needs `watch: [{self.watch}]`")
        for needed in self.passes:
            if needed not in part.passes:
                raise ValueError(f"{self.name} needs a {needed} pass")


Table = dict[str, Invariant]

REGISTRY: Table = {}
# Where `invariant` registers, and what `find_invariant` knows beside the shared ones: a runtime's own table while its
# invariants.py is imported and its scenarios are read.
_OWN: ContextVar[Table | None] = ContextVar("own", default=None)


@contextmanager
def knowing(own: Table | None) -> Iterator[None]:
    """Inside, one runtime's invariants are found too, and new ones are registered as its own."""
    token = _OWN.set(own)
    try:
        yield
    finally:
        _OWN.reset(token)


def invariant(
    params: type[Params] = Params,
    watch: str = "",
    passes: tuple[str, ...] = ("patched",),
    ending: bool = False,
    clauses: tuple[SummaryClause, ...] = (),
) -> Callable[[Checked], Checked]:
    """Register a check under its function's name; see :class:`Invariant`."""

    def register(check: Checked) -> Checked:
        name, own = check.__name__, _OWN.get()
        if own is not None and name in REGISTRY:
            raise ValueError(f"there is a shared invariant named {name!r} already")
        (REGISTRY if own is None else own)[name] = Invariant(name, check, params, watch, passes, ending, clauses)
        return check

    return register


def find_invariant(name: str) -> Invariant:
    """An invariant by name; ``ValueError`` lists those there are."""
    known = {**REGISTRY, **(_OWN.get() or {})}
    if name not in known:
        raise ValueError(f"no invariant is named {name!r}; there are {', '.join(sorted(known))}")
    return known[name]
