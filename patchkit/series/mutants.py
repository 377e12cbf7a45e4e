"""The mutants of a runtime: all of them, a selection, and a sample."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from patchkit.errors import PatchkitError
from patchkit.model_runner import NAMES, ModelRunner
from patchkit.release import parse_release
from patchkit.series.mutant import FAMILIES, Mutant, read_mutant
from patchkit.series.patch import holds_for
from patchkit.series.worktree import Tree


@dataclass(frozen=True)
class MutantSelection:
    """Which mutants the user selected: by number or name, by family, and at most ``sample`` of them."""

    mutants: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    sample: int | None = None
    seed: int = 0

    @property
    def all_of_them(self) -> bool:
        return not self.mutants and not self.families and self.sample is None

    def __str__(self) -> str:
        """The selection in words; empty if all are selected."""
        words = [f"mutant {selector}" for selector in self.mutants] + [f"family {family}" for family in self.families]
        return ", ".join([*words, *([] if self.sample is None else [f"sample of {self.sample}, seed {self.seed}"])])

    def names(self, mutant: Mutant) -> bool:
        """Whether the user named this one."""
        return any(is_named(mutant, selector) for selector in self.mutants)

    def of(self, mutants: Sequence[Mutant]) -> list[Mutant]:
        """The selected mutants, in order.

        Raises:
            PatchkitError: there is no such mutant or family, or nothing is left.
        """
        for family in self.families:
            if family not in FAMILIES:
                raise PatchkitError(f"no family {family!r}", f"there are {', '.join(FAMILIES)}")
        named = {find(mutants, selector).name for selector in self.mutants}
        wanted = [one for one in mutants if not named or one.name in named]
        wanted = [one for one in wanted if not self.families or one.family in self.families]
        if not wanted:
            raise PatchkitError("none of the mutants is in the chosen family", "leave out --mutant or --family")
        return wanted if self.sample is None else spread(wanted, self.sample, self.seed)


def load_mutants(folder: Path) -> list[Mutant]:
    """Every mutant below ``folder``, by number.

    Raises:
        PatchkitError: there is none, one is malformed, or two share a number.
    """
    mutants = sorted(map(read_mutant, folder.rglob("*.patch")), key=lambda mutant: mutant.name)
    if not mutants:
        raise PatchkitError(f"no mutants in {folder}", "write one, see `A mutant` in CONTRIBUTING.md")
    for one, other in pairwise(mutants):
        if one.number == other.number:
            raise PatchkitError(f"{one.path} and {other.path} share a number", "renumber one of them")
    return mutants


def meant_for(mutants: Iterable[Mutant], tree: Tree, runner: ModelRunner = "v1") -> list[Mutant]:
    """The mutants of the runtime as it is for the tree's release, under a model runner.

    Raises:
        PatchkitError: one depends on a patch that the series does not have, or none is left.
    """
    taken = {patch.name for patch in tree.taken}
    known = taken | {patch.name for patch, _ in tree.left}
    release = parse_release(tree.release)
    found: list[Mutant] = []
    for mutant in mutants:
        if strange := [name for name in mutant.depends if name not in known]:
            raise PatchkitError(f"{mutant.path}: Depends: the series has no {strange[0]}", "correct or drop the field")
        fits = holds_for(mutant.applies_to, release) and mutant.runner == runner
        if fits and taken.issuperset(mutant.depends):
            found.append(mutant)
    if not found:
        what = f"no mutant is meant for vLLM {tree.release} with its {NAMES[runner]}"
        raise PatchkitError(what, "see their Applies-To, Runner and Depends")
    return found


def check_gates(mutants: Iterable[Mutant], gates: Collection[str]) -> None:
    """Refuse a mutant whose Caught-By names an unknown gate."""
    for mutant in mutants:
        for gate, _ in mutant.caught_by:
            if gate not in gates:
                raise PatchkitError(f"{mutant.path}: Caught-By: no gate {gate!r}", f"there are {', '.join(gates)}")


def find(mutants: Sequence[Mutant], selector: str) -> Mutant:
    for mutant in mutants:
        if is_named(mutant, selector):
            return mutant
    raise PatchkitError(f"no mutant {selector!r} for this release", f"there are {len(mutants)}; --check lists them")


def is_named(mutant: Mutant, selector: str) -> bool:
    """Whether a selector is its number or its name."""
    bare = selector.removesuffix(".patch")
    return bare == mutant.name or (bare.isdecimal() and int(bare) == mutant.number)


def spread(mutants: Sequence[Mutant], most: int, seed: int = 0) -> list[Mutant]:
    """A sample of at most ``most`` mutants, spread evenly over the families; depends on the seed, not on the order.

    Adding or removing a mutant changes little of the sample: each has a fixed rank, by its name.
    """
    queues: dict[str, list[Mutant]] = {}
    for mutant in sorted(mutants, key=lambda mutant: _rank(seed, mutant.name)):
        queues.setdefault(mutant.family, []).append(mutant)
    families = sorted(queues, key=lambda family: _rank(seed, family))
    longest = max(map(len, queues.values()), default=0)
    turns = [queues[family][at] for at in range(longest) for family in families if at < len(queues[family])]
    taken = {mutant.name for mutant in turns[:most]}
    return [mutant for mutant in mutants if mutant.name in taken]


def _rank(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
