"""Mutants on real vLLM: of a copy of a real runtime, with mutants that any runtime could have."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from patchkit.project import Project
from patchkit.series import load_manifest, patched_tree

from .conftest import CHECKOUT, RELEASE, Patchkit

START = """

original_{start} = {start}


def {start}(*args, **settings):
{body}
"""
FAILS = '    raise RuntimeError("a mutant was here")'
DOUBLED = """    runtime = original_{start}(*args, **settings)
    counted = runtime.counters
    runtime.counters = lambda: {{name: value and value + value for name, value in counted().items()}}
    return runtime"""
HEADER = "Subject: {subject}\n\nFamily: {family}\nCaught-By: {caught_by}\n---\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A copy of the project, its state folder of its own, with three mutants of ESamp's start function."""
    for name in ("patches", "scenarios"):
        shutil.copytree(CHECKOUT / name, tmp_path / name)
    project = Project(tmp_path, tmp_path / ".patchkit")
    shutil.rmtree(tmp_path / "patches/esamp/mutants", ignore_errors=True)
    write(project, 1, "lifecycle", "It fails to start", "monotonic_bench: RuntimeError: a mutant was here", FAILS)
    write(project, 2, "counters", "Everything is counted twice", "monotonic_bench: [0-9]", DOUBLED)
    write(project, 3, "lifecycle", "It fails another way", "monotonic_bench: unsaid", FAILS.replace("Runtime", "Value"))
    return project


def write(project: Project, number: int, family: str, subject: str, caught_by: str, body: str) -> None:
    """A mutant that adds to the file in which the start function is."""
    tree = patched_tree(project, "esamp", RELEASE).path
    module, _, start = load_manifest(project, "esamp").start.partition(":")
    name = f"{module.replace('.', '/')}/__init__.py"
    lines = (tree / name).read_text().splitlines()
    added = START.format(start=start, body=body.format(start=start)).splitlines()
    context = "\n".join(f" {line}" for line in lines[-3:])
    hunk = f"@@ -{len(lines) - 2},3 +{len(lines) - 2},{len(added) + 3} @@\n{context}\n" + "\n".join(
        f"+{line}" for line in added
    )
    folder = project.patches / "esamp/mutants" / family
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{number:03}-{re.sub('[^a-z]+', '-', subject.lower())}.patch").write_text(
        HEADER.format(subject=subject, family=family, caught_by=caught_by)
        + f"diff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n{hunk}\n"
    )


def test_mutants_are_killed_for_the_stated_reason_or_listed(patchkit: Patchkit, project: Project) -> None:
    path = project.root / "mutants.json"
    command = ("mutants", "--vllm", RELEASE, "--evidence", str(path))
    done = patchkit(*command, "--mutant", "2", cwd=project.root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 mutant killed (100 %), 1 as their headers say" in done.stdout
    found = {one["mutant"][:3]: one for one in json.loads(path.read_text())["mutants"]}
    assert found["002"]["by"] == "monotonic_bench" and found["002"]["seconds"] > 0
    done = patchkit(*command, "--mutant", "1", "--mutant", "3", cwd=project.root)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 of 2 mutants killed (100 %), 1 as their headers say" in done.stdout
    assert "misattributed: monotonic_bench is red:" in done.stdout and "a mutant was here" in done.stdout
    assert patchkit("report", str(path)).returncode == 1
