"""The table of what is proven, made of evidence files: what counts of each, and why another is left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from packaging.version import Version

from patchkit.files import read_as, shortest
from patchkit.gates.evidence import Evidence, read_evidence
from patchkit.project import Project
from patchkit.proof.shortcoming import CurrentSeries, mismatch
from patchkit.series.manifest import Manifest
from patchkit.series.proven import Proof, ProvenTable, Unhooked

NUMBER = re.compile(r"\d+")
Key = tuple[str, str, str, str, str | None]


class _Release(msgspec.Struct):
    release: str


class _Step(msgspec.Struct):
    """A step of ``patchkit drift --since X --json``, as far as it matters here."""

    runtime: str
    pin: str
    new: _Release
    patches: list[str]
    dead: list[str]


@dataclass(frozen=True)
class LeftOut:
    """A file that does not count, and why in a clause."""

    file: Path
    why: str


def evidence_files(project: Project) -> list[Path]:
    """The files of a project's ``evidence/`` from which the table is made."""
    folder = project.root / "evidence"
    return sorted([*folder.glob("gate-*.json"), *folder.glob("drift-*.json")])


def make_table(project: Project, manifest: Manifest, files: Sequence[Path]) -> tuple[ProvenTable, list[LeftOut]]:
    """The table that these files give.

    Raises:
        PatchkitError: a file is not evidence, or the series cannot be read.
    """
    series, left = CurrentSeries.of(project, manifest), list[LeftOut]()
    proofs: dict[Key, Proof] = {}
    steps: list[_Step] = []
    for file in files:
        if file.name.startswith("drift-"):
            steps += _steps(file, series, left)
            continue
        record = read_evidence(file)
        if record.runtime.name != manifest.name:
            continue
        why = mismatch(record, series, record.release)
        if why:
            left.append(LeftOut(file, why))
            continue
        proof = _proof(record, file, series.laid_out(record.release).tree)
        key = key_of(proof)
        if key not in proofs or proofs[key].date <= proof.date:
            proofs[key] = proof
    table = ProvenTable(
        pin=manifest.pin, proofs=ordered(proofs.values()), unhooked=tuple(_unhooked(steps)), drift_read=_newest(steps)
    )
    return table, left


def joined(table: ProvenTable, more: ProvenTable) -> ProvenTable:
    """A table with the proofs of another of the same pin, which take the place of its own."""
    proofs = {key_of(one): one for one in (*table.proofs, *more.proofs)}
    return msgspec.structs.replace(table, pin=more.pin, proofs=ordered(proofs.values()))


def ordered(proofs: Iterable[Proof]) -> tuple[Proof, ...]:
    """By release, device, model runner, mode and GPU."""
    return tuple(
        sorted(proofs, key=lambda one: (Version(one.release), one.device, one.runner, one.mode, one.gpu or ""))
    )


def key_of(proof: Proof) -> Key:
    """What there is one proof of."""
    return proof.release, proof.runner, proof.device, proof.mode, proof.gpu


def _proof(record: Evidence, file: Path, tree: str) -> Proof:
    return Proof(
        release=record.release,
        runner=record.runner,
        device=record.device,
        gpu=record.hardware.gpu,
        mode=record.mode,
        gates=len(record.verdicts),
        red=tuple(verdict.scenario for verdict in record.verdicts if not verdict.passed),
        patches=tuple(int(found[0]) for name in record.runtime.patches if (found := NUMBER.match(name))),
        tree=tree,
        date=record.began.partition("T")[0],
        evidence=file.name,
    )


def _steps(file: Path, series: CurrentSeries, left: list[LeftOut]) -> list[_Step]:
    """The steps of a timeline that speak of the series as it is."""
    several = file.read_bytes().lstrip().startswith(b"[")
    what = "patchkit's drift JSON"
    steps = read_as(list[_Step], file, what) if several else [read_as(_Step, file, what)]  # type: ignore[type-var]
    manifest = series.manifest
    mine = [step for step in steps if (step.runtime, step.pin) == (manifest.name, manifest.pin)]
    fresh = [step for step in mine if step.patches == series.taken(step.new.release)]
    if len(fresh) < len(mine):
        first = next(step.new.release for step in mine if step not in fresh)
        left.append(LeftOut(file, f"it was made with other patches, for {first} and perhaps others"))
    return fresh


def _unhooked(steps: Iterable[_Step]) -> Iterable[Unhooked]:
    """Releases at which that changed, the oldest first."""
    before: tuple[str, ...] = ()
    for step in sorted(steps, key=lambda step: Version(step.new.release)):
        models = tuple(re.sub(r" \([^)]*\)$", "", model) for model in step.dead)
        if models != before:
            yield Unhooked(release=step.new.release, models=models)
        before = models


def _newest(steps: Iterable[_Step]) -> str:
    return max((step.new.release for step in steps), key=Version, default="")


def said(left: Sequence[LeftOut]) -> list[str]:
    """A line for each file that does not count."""
    return [f"{shortest(one.file)} does not count: {one.why}" for one in left]
