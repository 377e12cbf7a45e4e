"""Promotes new releases to proven ones: a release joins proven.yaml, its evidence joins ``evidence/``.

After a tick elsewhere: ``python -m patchkit.watch.promotion FOLDER`` with the folder that holds the tick's report.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from patchkit.environments.lock import lock_file
from patchkit.errors import PatchkitError
from patchkit.files import check_place, write_atomically
from patchkit.gates.evidence import read_evidence
from patchkit.project import Project, find_project
from patchkit.proof.shortcoming import CurrentSeries, shortcoming
from patchkit.proof.table import joined, make_table
from patchkit.release import parse_release
from patchkit.series.manifest import load_manifest
from patchkit.series.proven import NAME, to_yaml
from patchkit.watch.report import read_report


@dataclass(frozen=True)
class Promotion:
    """A release that joins the proven ones; evidence, a file a model runner, and a lock that go with it."""

    release: str
    evidence: Sequence[Path]
    lock: Path | None


def promotions(folder: Path) -> tuple[str, list[Promotion]]:
    """The runtime, and the promotions that the report in a folder allows.

    Raises:
        PatchkitError: there is no report, it is unfinished or of a dry run, or it names files elsewhere.
    """
    path = folder / "report.json"
    if not path.is_file():
        raise PatchkitError(f"there is no {path}", "run `patchkit watch` first")
    report = read_report(path)
    if report.state == "unfinished" or report.dry_run:
        why = "is of a dry run" if report.dry_run else "is unfinished"
        raise PatchkitError(f"{path} {why}; the pin was left alone", "run `patchkit watch` to its end")
    return report.runtime, [
        Promotion(
            one.release,
            [_beside(path, name) for name in [run.evidence for run in one.runs] or [None]],
            _beside(path, one.lock) if one.lock else None,
        )
        for one in report.releases
        if one.outcome == "proven"
    ]


def _beside(report: Path, name: str | None) -> Path:
    if not name or not re.fullmatch(r"[\w.+-]+", name, re.ASCII) or name.startswith("."):
        raise PatchkitError(f"{report}: `{name}` is no file beside it", "run `patchkit watch` again")
    return report.parent / name


def promote(project: Project, runtime: str, updates: list[Promotion]) -> list[str]:
    """Add releases to those that a runtime is proven on, with their evidence; returns those that were added.

    All is checked before anything is written, and the table is written last.

    Raises:
        PatchkitError: the evidence of one does not prove it, or a file cannot be written.
    """
    manifest = load_manifest(project, runtime)
    known = [*map(Version, manifest.proven)]
    updates = [one for one in updates if parse_release(one.release) not in known]
    series = CurrentSeries.of(project, manifest)
    for one in updates:
        for file in one.evidence:
            lack = shortcoming(read_evidence(file), series, one.release)
            if lack:
                raise PatchkitError(f"{file} does not prove vLLM {one.release}: {lack}", "run the gates again")
    table, _ = make_table(project, manifest, [file for one in updates for file in one.evidence])
    for one in updates:
        for file in one.evidence:
            _copy(file, project.root / "evidence" / file.name)
        if one.lock is not None:
            _copy(one.lock, lock_file(one.release, "cpu"))
    if updates:
        write_atomically(manifest.folder / NAME, to_yaml(joined(manifest.table, table)))
    return [one.release for one in updates]


def _copy(file: Path, to: Path) -> None:
    check_place(to)
    if file.resolve() != to.resolve():
        shutil.copy(file, to)


def main(arguments: list[str]) -> int:
    """Promote by the report in a folder; prints the releases that were added."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m patchkit.watch.promotion FOLDER", file=sys.stderr)
        return 2
    runtime, updates = promotions(Path(arguments[0]))
    for release in promote(find_project(), runtime, updates):
        print(release)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except PatchkitError as error:
        print(f"patchkit: {error}", file=sys.stderr)
        sys.exit(2)
