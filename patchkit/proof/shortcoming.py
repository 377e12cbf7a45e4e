"""When evidence proves a release: every gate ran, all are green, on exactly the code that the series gives."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from packaging.version import Version

from patchkit.gates.evidence import Evidence, RuntimeUsed
from patchkit.gates.loading import load_scenarios
from patchkit.gates.scenario import Scenario, select
from patchkit.mode import Mode
from patchkit.project import Project
from patchkit.series.manifest import Manifest
from patchkit.series.patch import Patch
from patchkit.series.series import Series
from patchkit.series.worktree import patched_tree


@dataclass
class CurrentSeries:
    """A runtime's series and gates as they are now; trees are laid out once for each set of patches."""

    project: Project
    manifest: Manifest
    scenarios: dict[str, Scenario]
    patches: list[Patch]
    _laid: dict[tuple[str, ...], RuntimeUsed] = field(default_factory=dict)

    @classmethod
    def of(cls, project: Project, manifest: Manifest) -> CurrentSeries:
        """Read the series and the scenarios.

        Raises:
            PatchkitError: a patch or a scenario is malformed.
        """
        patches = list(Series.load(manifest.folder).patches)
        return cls(project, manifest, load_scenarios(project, manifest.name), patches)

    def gates(self, release: str, mode: Mode, device: str) -> list[str]:
        """Names of the gates that are for a release, and make sense in a mode and on a device."""
        gates = select(self.scenarios, release=release)
        return [gate.name for gate in gates if not gate.left_out_whole(mode, device)]

    def taken(self, release: str) -> list[str]:
        """Names of the patches that a release takes."""
        return [patch.name for patch in self.patches if patch.needed_on(Version(release))]

    def laid_out(self, release: str) -> RuntimeUsed:
        """The tree of a release.

        Raises:
            PatchkitError: the series does not apply, or the upstream was edited.
        """
        names = tuple(self.taken(release))
        if names not in self._laid:
            with tempfile.TemporaryDirectory(prefix="patchkit-") as folder:
                tree = patched_tree(self.project, self.manifest.name, release, into=Path(folder, "tree"))
                self._laid[names] = RuntimeUsed.of(tree)
        return self._laid[names]


def shortcoming(record: Evidence, series: CurrentSeries, release: str) -> str:
    """Why evidence does not prove ``release``, in a clause; empty if it does."""
    red = [verdict.scenario for verdict in record.verdicts if not verdict.passed]
    return f"red: {', '.join(red)}" if red else mismatch(record, series, release)


def mismatch(record: Evidence, series: CurrentSeries, release: str) -> str:
    """Why evidence says nothing of the series as it is now on ``release``; empty if it does."""
    return next(_mismatches(record, series, release), "")


def _mismatches(record: Evidence, series: CurrentSeries, release: str) -> Iterator[str]:
    if record.kind != "gate":
        yield f"it is of a {record.kind}, not of the gates"
    ran = {verdict.scenario for verdict in record.verdicts}
    gates = series.gates(release, record.mode, record.device)
    missing = [gate for gate in gates if gate not in ran]
    if not gates or missing:
        yield f"not run: {', '.join(missing) or 'any gate, for there is none'}"
    if record.engine:
        yield f"its engines had {', '.join(record.engine)} set"
    if Version(record.release) != Version(release) or not _same(record.versions.vllm, release):
        yield f"the gates ran on vLLM {record.versions.vllm}"
    used, manifest = record.runtime, series.manifest
    if (used.name, used.pin) != (manifest.name, manifest.pin) or used.patches != series.taken(release) or used.without:
        yield "the gates ran on another pin or other patches"
        return
    if not used.runs_code_of(series.laid_out(release)):
        yield "the gates ran on other code: a patch was changed since"


def _same(found: str, release: str) -> bool:
    """Whether an installed version is a build of a release: ``0.12.0.post2+cpu`` is one of 0.12.0."""
    public = found.partition("+")[0]
    return public == release or public.startswith(f"{release}.post")
