"""The series goes on with plain ``git am --3way`` and ``quilt push -a`` too: the made-up one and every real one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from toy import ENVIRONMENT, git

from patchkit.project import Project
from patchkit.series import Series, patched_tree
from patchkit.series.export import export

REAL = Path(__file__).parents[2] / "patches"
RUNTIMES = ["made-up", *sorted(path.parent.name for path in REAL.glob("*/runtime.yaml"))]


@pytest.fixture(params=RUNTIMES)
def folder(request: pytest.FixtureRequest, project: Project) -> Path:
    """A runtime's folder in a project of its own."""
    if request.param != "made-up":
        shutil.copytree(REAL / request.param, project.patches / request.param)
    folder = project.patches / ("toy" if request.param == "made-up" else request.param)
    if not (folder / "upstream").is_dir():
        pytest.skip(f"{request.param} embeds no upstream")
    return folder


@pytest.fixture
def upstream(folder: Path, tmp_path: Path) -> Path:
    """A copy of its upstream, as a git repository."""
    copy = shutil.copytree(folder / "upstream", tmp_path / "copy", ignore=shutil.ignore_patterns("__pycache__"))
    git(copy, "init", "--quiet")
    (copy / ".git/info/attributes").write_text("* -text\n")
    git(copy, "add", "--all")
    git(copy, "commit", "--quiet", "-m", "upstream")
    return copy


def whole(folder: Path, project: Project) -> str:
    """Tree hash of the whole series, applied by patchkit as if one release took every patch."""
    for patch in Series.load(folder).patches:
        patch.path.write_text(re.sub(r"(?m)^Applies-To: .*$", "Applies-To: vllm", patch.path.read_text()))
    tree = patched_tree(project, folder.name, "99")
    assert not tree.left
    return git(tree.path, "rev-parse", "HEAD^{tree}")


def test_git_am(folder: Path, upstream: Path, project: Project) -> None:
    git(upstream, "am", "--3way", "--quiet", *(str(patch.path) for patch in Series.load(folder).patches))
    assert git(upstream, "rev-parse", "HEAD^{tree}") == whole(folder, project)
    subjects = git(upstream, "log", "--reverse", "--format=%s").splitlines()
    assert subjects == ["upstream", *(patch.subject for patch in Series.load(folder).patches)]


@pytest.mark.skipif(not shutil.which("quilt"), reason="quilt is not installed (apt-get install quilt)")
def test_quilt_push(folder: Path, upstream: Path, project: Project) -> None:
    quilt = ["quilt", "--quiltrc", "-", "push", "-a"]
    environment = os.environ | {"QUILT_PATCHES": str(folder), "QUILT_PC": str(folder.parent / "pc")}
    subprocess.run(quilt, cwd=upstream, env=environment, check=True, capture_output=True, text=True)
    git(upstream, "add", "--all")
    assert git(upstream, "write-tree") == whole(folder, project)


def test_each_patch_comes_off_again(folder: Path, upstream: Path) -> None:
    patches = [str(patch.path) for patch in Series.load(folder).patches]
    git(upstream, "am", "--3way", "--quiet", *patches)
    for patch in reversed(patches):
        git(upstream, "apply", "-R", "--check", patch)
        git(upstream, "apply", "-R", patch)
    assert git(upstream, "diff", f"HEAD~{len(patches)}") == ""


def test_each_patch_can_be_left_out(folder: Path, project: Project) -> None:
    patches = Series.load(folder).patches
    needed = {name for patch in patches for name in patch.depends}
    for patch in patches:
        if patch.name not in needed:
            tree = patched_tree(project, folder.name, "99", [str(patch.number)])
            assert len(tree.commits) == len(tree.taken) and patch not in tree.taken


def test_patches_are_as_export_writes_them(folder: Path) -> None:
    for patch in Series.load(folder).patches:
        if "Löwe" not in patch.author[0]:  # git encodes that name, export writes it plainly
            assert patch.path.read_text() == str(patch), f"rewrite {patch.path.name} with `patchkit export`"


def test_export_after_git_am_is_a_no_op(folder: Path, upstream: Path) -> None:
    patches = [str(patch.path) for patch in Series.load(folder).patches]
    subprocess.run(["git", "am", "-q", "--3way", *patches], cwd=upstream, env=ENVIRONMENT, check=True)
    export(folder, upstream)
    assert export(folder, upstream) == []
