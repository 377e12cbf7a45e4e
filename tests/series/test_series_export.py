"""From a tree's commits back to patch files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import in_this_process
import pytest
from toy import MESSAGE, fix_tap, git

from patchkit.errors import PatchkitError
from patchkit.project import Project
from patchkit.series import Series, patched_tree
from patchkit.series.export import export

FACTS = {"number": 9, "kind": "loud", "applies_to": "vllm >=0.11.0", "more": ""}


@pytest.fixture
def tree(project: Project, toy: Path) -> Path:
    """A tree of the whole series, exported once (git spells the author's name another way)."""
    tree = patched_tree(project, "toy", "0.20.0").path
    export(toy, tree)
    return patched_tree(project, "toy", "0.20.0").path


def test_export_after_apply_is_a_no_op(toy: Path, tree: Path) -> None:
    before = {path.name: path.read_bytes() for path in toy.iterdir() if path.is_file()}
    assert export(toy, tree) == []
    assert {path.name: path.read_bytes() for path in toy.iterdir() if path.is_file()} == before


def test_a_new_commit_becomes_a_patch_which_apply_takes(project: Project, toy: Path, tree: Path) -> None:
    fix_tap(tree, 3)
    git(tree, "commit", "--quiet", "-am", MESSAGE.format(subject="Fix: another tap!", **FACTS))
    assert [path.name for path in export(toy, tree)] == ["0005-Fix-another-tap.patch", "series"]
    assert (toy / "series").read_text().endswith("0004-Fix-tap-7.patch\n0005-Fix-another-tap.patch\n")
    assert (toy / "series").read_text().startswith("# the order\n")
    content = git(tree, "rev-parse", "HEAD^{tree}")
    again = patched_tree(project, "toy", "0.20.0")
    assert again.fresh and len(again.taken) == 5
    assert git(again.path, "rev-parse", "HEAD^{tree}") == content


def test_an_amended_commit_keeps_its_name(toy: Path, tree: Path) -> None:
    fix_tap(tree, 8)
    message = MESSAGE.format(subject="Fix taps 7 and 8", **FACTS | {"number": 4})
    git(tree, "commit", "--quiet", "--all", "--amend", "-m", message)
    assert [path.name for path in export(toy, tree)] == ["0004-Fix-tap-7.patch"]
    assert Series.load(toy).patches[3].subject == "Fix taps 7 and 8"


def test_what_cannot_be_exported(project: Project, toy: Path, tree: Path, tmp_path: Path) -> None:
    fix_tap(tree, 3)
    with pytest.raises(PatchkitError, match="uncommitted edits"):
        export(toy, tree)
    git(tree, "commit", "--quiet", "-am", "Fix, and say nothing more")
    with pytest.raises(PatchkitError, match=r"Fix-and-say-nothing-more\.patch: Drift: missing"):
        export(toy, tree)
    git(tree, "reset", "--hard", "--quiet", "HEAD~2")
    with pytest.raises(PatchkitError, match="no commit for 0004-Fix-tap-7"):
        export(toy, tree)
    with pytest.raises(PatchkitError, match="cannot export"):
        export(toy, tmp_path / "nowhere")


def series_of(folder: Path) -> list[Path]:
    return [patch.path for patch in Series.load(folder).patches]


def test_patches_that_the_release_does_not_take_stay_as_they_are(project: Project, toy: Path, tree: Path) -> None:
    older = patched_tree(project, "toy", "0.10.1.1")
    taken = {patch.path.name for patch in older.taken}
    before = [path.name for path in series_of(toy)]
    left_out = {
        patch.path: patch.path.read_bytes() for patch in Series.load(toy).patches if patch.path.name not in taken
    }
    assert left_out
    assert export(toy, older.path) == []
    fix_tap(older.path, 3)
    git(older.path, "commit", "--quiet", "-am", MESSAGE.format(subject="Fix: an old tap", **FACTS))
    assert [path.name for path in export(toy, older.path)] == ["0005-Fix-an-old-tap.patch", "series"]
    assert [path.name for path in series_of(toy)] == [*before, "0005-Fix-an-old-tap.patch"]
    assert {path: path.read_bytes() for path in left_out} == left_out


def test_the_command(project: Project, tree: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return in_this_process.run("export", *arguments, cwd=project.root)

    command = [sys.executable, "-W", "error::RuntimeWarning", "-m", "patchkit", "export", str(tree)]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True)
    assert done.stdout == run(str(tree)).stdout == "nothing changed\n"
    assert run(str(tree), "--runtime", "toy").stdout == "nothing changed\n"
    other = run(str(tree), "--runtime", "none")
    assert other.stderr == f"patchkit: {tree} was laid out from toy, not from none; leave out --runtime\n"
    nowhere = run("nowhere")
    assert nowhere.returncode == 2 and nowhere.stderr.count("\n") == 1
    assert "nowhere" in nowhere.stderr and "patchkit apply" in nowhere.stderr
