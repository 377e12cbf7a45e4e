"""Whether evidence is of the tree that the project has now: only then does its green count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from patchkit.errors import PatchkitError
from patchkit.gates.evidence import Circumstances, RuntimeUsed
from patchkit.gates.loading import load_scenarios
from patchkit.gates.scenario import Scenario, select
from patchkit.mode import Mode
from patchkit.project import Project, find_project
from patchkit.release import version_of
from patchkit.series.patch import Patch
from patchkit.series.series import Series
from patchkit.series.worktree import Tree, made_of, patched_tree

Found = TypeVar("Found")
Standing = Literal["this tree", "another tree", "unknown tree"]
MEANING: dict[Standing, str] = {
    "this tree": "made with the code that the project's pin and patches give now",
    "another tree": "made with other code than the project's pin and patches give now: it proves nothing of that",
    "unknown tree": "it is not known whether it was made with the code that the project's pin and patches give now",
}


@dataclass
class Trees:
    """The project's patched trees, laid out on demand; None where that fails."""

    project: Project | None = None
    _found: dict[tuple[str, str], Tree | None] = field(default_factory=dict)
    _scenarios: dict[str, dict[str, Scenario]] = field(default_factory=dict)
    _series: dict[str, list[Patch]] = field(default_factory=dict)
    _laid: dict[tuple[str, ...], Tree] = field(default_factory=dict)

    @classmethod
    def here(cls) -> Trees:
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
        ours = RuntimeUsed.of(tree)
        if used.runs_code_of(ours):
            return "this tree"
        if used.tree:
            return "another tree"
        alike = (used.pin, used.patches) == (ours.pin, ours.patches)
        return "unknown tree" if alike else "another tree"

    def gates(self, runtime: str, release: str | None = None, mode: Mode = "eager", device: str = "cuda") -> list[str]:
        """Names of the gates that are for a release (None: for any), in order; empty if they are not to be had.

        On CUDA, unless another device is named: there every gate makes sense.
        """
        if runtime not in self._scenarios:
            self._scenarios[runtime] = self._had(runtime, lambda project: load_scenarios(project, runtime)) or {}
        known = None if release is None or version_of(release) is None else release
        gates = select(self._scenarios[runtime], release=known)
        return [gate.name for gate in gates if not gate.left_out_whole(mode, device)]

    def patches(self, runtime: str) -> list[Patch]:
        """The runtime's series, in order; empty if it is not to be had."""
        if runtime not in self._series:
            found = self._had(runtime, lambda project: Series.load(project.patches / runtime))
            self._series[runtime] = [*found.patches] if found else []
        return self._series[runtime]

    def _tree(self, runtime: str, release: str) -> Tree | None:
        key = (runtime, release)
        if key not in self._found:
            self._found[key] = self._had(runtime, lambda project: self._laid_out(project, runtime, release))
        return self._found[key]

    def _laid_out(self, project: Project, runtime: str, release: str) -> Tree:
        """The tree of a release, or that of another one which takes the same patches: it has the same files."""
        made = (runtime, *made_of(project, runtime, release))
        if made not in self._laid:
            self._laid[made] = patched_tree(project, runtime, release)
        return self._laid[made]

    def _had(self, runtime: str, read: Callable[[Project], Found]) -> Found | None:
        """What is read of the project; None if it has no such runtime, or that cannot be read."""
        if self.project is None or runtime not in self.project.runtimes():
            return None
        try:
            return read(self.project)
        except PatchkitError:
            return None
