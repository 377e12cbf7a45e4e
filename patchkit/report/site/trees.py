"""Whether evidence is of the tree that the project has now: only then does its green count."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from patchkit.errors import PatchkitError
from patchkit.gates.evidence import Circumstances
from patchkit.gates.loading import load_scenarios
from patchkit.gates.scenario import select
from patchkit.project import Project, find_project
from patchkit.series.patch import Patch
from patchkit.series.series import Series
from patchkit.series.worktree import Tree, patched_tree

Standing = Literal["this tree", "another tree", "unknown tree"]
MEANING: dict[Standing, str] = {
    "this tree": "made with the pin and the patches that the project has now",
    "another tree": "made with another pin or other patches than the project has now: it proves nothing of these",
    "unknown tree": "it is not known whether it was made with the pin and the patches that the project has now",
}


@dataclass
class Trees:
    """The project's patched trees, laid out on demand; None where that fails."""

    project: Project | None = None
    _found: dict[tuple[str, str], Tree | None] = field(default_factory=dict)
    _series: dict[str, list[Patch]] = field(default_factory=dict)

    @classmethod
    def here(cls) -> Trees:
        """Those of the project around this folder."""
        try:
            return cls(find_project())
        except PatchkitError:
            return cls()

    def standing(self, evidence: Circumstances) -> Standing:
        """How evidence relates to the tree of its runtime and release; unknown if that cannot be determined."""
        used = evidence.runtime
        if used.without:
            return "another tree"  # the project's own is the whole series
        if not used.pin:
            return "unknown tree"  # a server does not say what it runs
        tree = self._tree(used.name, evidence.release)
        if tree is None:
            return "unknown tree"
        if used.tree:
            return "this tree" if used.tree == tree.hash else "another tree"
        if used.commit and used.commit == tree.head:  # git's hash of a commit stands for its tree
            return "this tree"
        alike = (used.pin, used.patches) == (tree.pin, [patch.name for patch in tree.taken])
        return "unknown tree" if alike else "another tree"

    def gates(self, runtime: str) -> list[str]:
        """Names of the gates that the project has for a runtime, in order; empty if they are not to be had."""
        if self.project is None or runtime not in self.project.runtimes():
            return []
        try:
            return [gate.name for gate in select(load_scenarios(self.project, runtime))]
        except PatchkitError:
            return []

    def patches(self, runtime: str) -> list[Patch]:
        """The runtime's series, in order; empty if it is not to be had."""
        if runtime not in self._series:
            self._series[runtime] = self._read(runtime)
        return self._series[runtime]

    def _read(self, runtime: str) -> list[Patch]:
        if self.project is None or runtime not in self.project.runtimes():
            return []
        try:
            return list(Series.load(self.project.patches / runtime).patches)
        except PatchkitError:
            return []

    def _tree(self, runtime: str, release: str) -> Tree | None:
        key = (runtime, release)
        if key not in self._found:
            self._found[key] = self._laid_out(runtime, release)
        return self._found[key]

    def _laid_out(self, runtime: str, release: str) -> Tree | None:
        if self.project is None or runtime not in self.project.runtimes():
            return None
        try:
            return patched_tree(self.project, runtime, release)
        except PatchkitError:
            return None
