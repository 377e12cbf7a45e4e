"""The verb ``prove``: the table of what is proven, made of evidence, and what is made of that table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from patchkit.bench.throughput_evidence import read_throughput
from patchkit.console import err, out
from patchkit.errors import PatchkitError
from patchkit.files import shortest, write_atomically
from patchkit.gates.evidence import read_evidence
from patchkit.plural import counted
from patchkit.project import BUNDLED, Project, find_project
from patchkit.proof.table import evidence_files, make_table, said
from patchkit.report.readme import with_example_run, with_newest_release
from patchkit.report.site.sources import kind_of
from patchkit.report.support_table import matrix, with_table
from patchkit.report.throughput.markdown import Filed, with_throughput
from patchkit.series.manifest import Manifest, load_manifest
from patchkit.series.proven import NAME, ProvenTable, to_yaml


def prove(runtime: str, files: Sequence[Path], check: bool, as_matrix: bool) -> int:
    """Make the table of what is proven, and the tables of the project's README and docs/results.md that have marks.

    Args:
        files: evidence; without any, all of the project's ``evidence/``.
        check: only say whether they are what the evidence gives.
        as_matrix: only print what a workflow gates, as JSON.

    Returns:
        1 if ``check`` and one of them is not, else 0.

    Raises:
        PatchkitError: a file is not evidence, there is none, or the project is an installed patchkit.
    """
    project = find_project()
    manifest = load_manifest(project, runtime)
    if as_matrix:
        print(json.dumps(matrix(manifest.table)))
        return 0
    table = _table(project, manifest, files)
    changed = changes(project, manifest, table)
    if check:
        for path in changed:
            out.print(f"{shortest(path)} is not what the evidence gives; run `patchkit prove`", markup=False)
        return int(bool(changed))
    if project.root == BUNDLED:
        raise PatchkitError(f"{manifest.folder} is part of an installed patchkit", "run it in a checkout")
    for path, text in changed.items():
        write_atomically(path, text)
        out.print(f"wrote {shortest(path)}", markup=False)
    proven = counted(len(table.releases()), "release")
    out.print(f"{runtime} is proven on {proven} of vLLM, by {counted(len(table.proofs), 'run')}", markup=False)
    return 0


def changes(project: Project, manifest: Manifest, table: ProvenTable) -> dict[Path, str]:
    """The files that are not what the table gives, and the text that they should have.

    The README and docs/results.md of a project have the tables of its only runtime, where they have their marks; the
    README has commands and an example run of its newest release too.
    """
    wanted = {manifest.folder / NAME: to_yaml(table)}
    if len(project.runtimes()) == 1:
        measured = throughputs(project)
        for path in (project.root / "README.md", project.root / "docs" / "results.md"):
            if path.is_file():
                wanted[path] = with_throughput(with_table(path.read_text("utf-8"), table), measured)
        readme = project.root / "README.md"
        if readme in wanted:
            wanted[readme] = _with_example(with_newest_release(wanted[readme], table), project, table)
    return {path: text for path, text in wanted.items() if not path.is_file() or path.read_text("utf-8") != text}


def _with_example(text: str, project: Project, table: ProvenTable) -> str:
    """With the newest proven run on a CPU, if its evidence is in the project."""
    green = [one for one in table.of(table.newest() or "0", "v1", "cpu") if one.green]
    files = [project.root / "evidence" / one.evidence for one in green]
    found = [file for file in files if file.is_file()]
    return with_example_run(text, read_evidence(found[0]), found[0].name) if found else text


def throughputs(project: Project) -> list[Filed]:
    """The evidence of ``bench throughput`` in a project's ``evidence/``, by the names of its files."""
    files = sorted((project.root / "evidence").glob("bench-*.json"))
    return [(file.name, read_throughput(file)) for file in files if kind_of(file) == "throughput"]


def _table(project: Project, manifest: Manifest, files: Sequence[Path]) -> ProvenTable:
    found = list(files) or evidence_files(project)
    if not found:
        where = project.root / "evidence"
        raise PatchkitError(
            f"there is no evidence in {where}",
            "run `patchkit gate --vllm RELEASE --evidence evidence/gate-RELEASE-cpu.json`",
        )
    table, left = make_table(project, manifest, found)
    for line in said(left):
        err.print(f"warning: {line}", markup=False)
    return table
