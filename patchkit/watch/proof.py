"""When evidence proves a release: every gate ran, all are green, on exactly this series."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.version import Version

from patchkit.gates.evidence import Evidence
from patchkit.gates.loading import load_scenarios
from patchkit.gates.scenario import select
from patchkit.project import Project
from patchkit.series.manifest import Manifest
from patchkit.series.series import Series


def shortcoming(record: Evidence, project: Project, manifest: Manifest, release: str) -> str:
    """Why evidence does not prove ``release``, in a clause; empty if it does."""
    return next(_shortcomings(record, project, manifest, release), "")


def _shortcomings(record: Evidence, project: Project, manifest: Manifest, release: str) -> Iterator[str]:
    red = [verdict.scenario for verdict in record.verdicts if not verdict.passed]
    if red:
        yield f"red: {', '.join(red)}"
    ran = {verdict.scenario for verdict in record.verdicts}
    gates = select(load_scenarios(project, manifest.name), "gate", release=release)
    missing = [gate.name for gate in gates if gate.name not in ran]
    if record.kind != "gate":
        yield f"it is of a {record.kind}, not of the gates"
    if not gates or missing:
        yield f"not run: {', '.join(missing) or 'any gate, for there is none'}"
    if Version(record.release) != Version(release) or not _same(record.versions.vllm, release):
        yield f"the gates ran on vLLM {record.versions.vllm}"
    taken = [patch.name for patch in Series.load(manifest.folder).patches if patch.needed_on(Version(release))]
    used = record.runtime
    if (used.name, used.pin) != (manifest.name, manifest.pin) or used.patches != taken or used.without:
        yield "the gates ran on another pin or other patches"


def _same(found: str, release: str) -> bool:
    """Whether an installed version is a build of a release: ``0.12.0.post2+cpu`` is one of 0.12.0."""
    public = found.partition("+")[0]
    return public == release or public.startswith(f"{release}.post")
