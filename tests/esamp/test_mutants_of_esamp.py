"""The mutants of ESamp fit the trees of the first and of the last release that they name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Set
from pathlib import Path

import pytest

from patchkit.environments.lock import locked_releases
from patchkit.gates.loading import load_scenarios
from patchkit.model_runner import ModelRunner
from patchkit.project import find_project
from patchkit.release import parse_release
from patchkit.series import Series, patched_tree
from patchkit.series.code import meaning
from patchkit.series.mutant import Mutant
from patchkit.series.mutant_trees import mutated_trees
from patchkit.series.mutants import check_gates, load_mutants
from patchkit.series.patch import holds_for

PROJECT = find_project(Path(__file__))
FOLDER = PROJECT.patches / "esamp"
RELEASES = locked_releases("cpu")


def by_their_ends() -> dict[tuple[str, ModelRunner], list[Mutant]]:
    """Every mutant under the first and the last locked release that its header and the series allow."""
    series = Series.load(FOLDER)
    taken = {name: {one.patch.name for one in series.for_release(name) if one.taken} for name in RELEASES}
    found: dict[tuple[str, ModelRunner], list[Mutant]] = defaultdict(list)
    for mutant in load_mutants(FOLDER / "mutants"):
        fitting = [
            name
            for name in RELEASES
            if holds_for(mutant.applies_to, parse_release(name)) and taken[name].issuperset(mutant.depends)
        ]
        assert fitting, f"{mutant.name} is meant for none of the releases"
        for name in dict.fromkeys((fitting[0], fitting[-1])):
            found[name, mutant.runner].append(mutant)
    return found


ENDS = by_their_ends()


@pytest.fixture(scope="module")
def gates() -> Set[str]:
    return load_scenarios(PROJECT, "esamp").keys()


@pytest.mark.parametrize(("release", "runner"), sorted(ENDS))
def test_every_mutant_can_be_laid_out_at_both_ends(release: str, runner: ModelRunner, gates: Set[str]) -> None:
    mutants = ENDS[release, runner]
    check_gates(mutants, gates)
    tree = patched_tree(PROJECT, "esamp", release)
    with mutated_trees(tree, mutants) as trees:
        assert len(trees) == len(mutants)
        alike = [mutant.name for mutant in mutants if same_code(tree.path, trees[mutant.name], mutant)]
    assert not alike, "evidence of the tree would count for them"


def same_code(tree: Path, mutated: Path, mutant: Mutant) -> bool:
    """Whether the files that a mutant changes are the same to :func:`patchkit.series.code.code_hash`."""
    changed = [file.path for file in mutant.patch_set]
    return all(
        meaning((tree / path).read_bytes(), docstrings=False)
        == meaning((mutated / path).read_bytes(), docstrings=False)
        for path in changed
    )
