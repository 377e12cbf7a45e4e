"""``Applies-To`` held against what knock-outs found, of this release and of others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from patchkit.errors import PatchkitError
from patchkit.gates.evidence import Evidence, read_evidence
from patchkit.gates.patch_needed import HARMFUL, NEEDED, NOT_NEEDED
from patchkit.project import Project
from patchkit.series.narrow_applies_to import narrowed


def check_applies_to(record: Evidence, project: Project, developed_on: str) -> None:
    """Say in a knock-out's evidence how the header of a patch that the release does not need should change."""
    folders = [project.root / "evidence", project.state / "evidence"]
    for knocked in record.knockouts:
        if knocked.need in (NOT_NEEDED, HARMFUL):
            needs = known_needs(folders, record.runtime.name, record.runtime.pin, knocked.patch)
            needs[Version(record.release)] = False
            taken = SpecifierSet(knocked.applies_to.removeprefix("vllm"))
            knocked.narrowed = narrowed(taken, needs, Version(developed_on))


def known_needs(folders: list[Path], runtime: str, pin: str, patch: str) -> dict[Version, bool]:
    """Whether releases need a patch, by the evidence of knock-outs of the same pin that lies in ``folders``."""
    return {
        Version(record.release): knocked.need == NEEDED
        for record in _knockouts(folders)
        if (record.runtime.name, record.runtime.pin) == (runtime, pin)
        for knocked in record.knockouts
        if knocked.patch == patch and knocked.need in (NEEDED, NOT_NEEDED, HARMFUL)
    }


def _knockouts(folders: list[Path]) -> Iterator[Evidence]:
    for path in sorted(path for folder in folders for path in folder.glob("knockout-*.json")):
        try:
            yield read_evidence(path)
        except PatchkitError:
            continue  # it says nothing, be it damaged or of another version
