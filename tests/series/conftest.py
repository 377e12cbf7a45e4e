"""A made-up runtime, shaped like ``patches/<runtime>/`` and written with plain git, and ``patchkit`` run on it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import in_this_process
import pytest
from toy import FILES, MESSAGE, PATCHES, Run, fix_tap, git

from patchkit.project import Project


@pytest.fixture(scope="session")
def made_up_runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``patches/toy`` as a person would make it with git alone."""
    folder = tmp_path_factory.mktemp("made-up") / "toy"
    upstream = folder / "upstream"
    for name, content in FILES.items():
        (upstream / name).parent.mkdir(parents=True, exist_ok=True)
        (upstream / name).write_text(content)
    (upstream / "bin/run").chmod(0o755)
    work = shutil.copytree(upstream, folder.parent / "work")
    git(work, "init", "--quiet")
    (work / ".git/info/attributes").write_text("* -text\n")
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "-m", "upstream")
    tree = git(work, "rev-parse", "HEAD^{tree}")
    for number, kind, applies_to, more, tap in PATCHES:
        fix_tap(work, tap)
        facts = {"number": number, "kind": kind, "applies_to": applies_to, "more": more}
        git(work, "commit", "--quiet", "-am", MESSAGE.format(subject=f"Fix tap {tap}", **facts))
    git(work, "format-patch", "--full-index", "--zero-commit", "--no-numbered", "-o", str(folder), "HEAD~4")
    names = sorted(path.name for path in folder.glob("*.patch"))
    (folder / "series").write_text("# the order\n\n" + "\n".join(names) + " -p1  # quilt's way\n")
    (folder / "runtime.yaml").write_text(
        f"name: toy\npackage: toy\nupstream:\n  path: upstream\n  tree: {tree}\n"
        'developed_on: "0.10.1.1"\nstart: toy:install\ndefaults: {}\n'
        "surface:\n  wraps:\n  - vllm.v1.worker.gpu_model_runner.GPUModelRunner\n"
    )
    return folder


@pytest.fixture
def project(made_up_runtime: Path, tmp_path: Path) -> Project:
    """A project of one's own that has the made-up runtime."""
    root = tmp_path / "project"
    shutil.copytree(made_up_runtime, root / "patches" / "toy")
    (root / "scenarios").mkdir()
    return Project(root, root / ".patchkit")


@pytest.fixture
def toy(project: Project) -> Path:
    return project.patches / "toy"


@pytest.fixture
def place(project: Project) -> Path:
    """Where the tree for 0.20.0 goes."""
    return project.state / "trees" / "toy" / "0.20.0"


@pytest.fixture
def patchkit(project: Project) -> Run:
    """Run ``patchkit`` in the project; no exception may come out of it."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        done = in_this_process.run(*arguments, cwd=project.root, **{"COLUMNS": "200", **variables})
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def refused(patchkit: Run) -> Callable[..., str]:
    """Run ``patchkit``, which must refuse in one line; the line."""

    def run(*arguments: str, **variables: str) -> str:
        done = patchkit(*arguments, **variables)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done
        assert done.stderr.startswith("patchkit: ") and "; " in done.stderr
        return done.stderr

    return run
