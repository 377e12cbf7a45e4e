"""The pin is what git says, and an edited upstream is recognised."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import git

from patchkit.errors import PatchkitError
from patchkit.project import Project
from patchkit.series import load_manifest
from patchkit.series.pin import check_pin, tree_hash, upstream_blobs


def by_git(folder: Path) -> str:
    """The tree hash of ``folder`` in git's own words."""
    git(folder, "init", "--quiet")
    (folder / ".git/info/attributes").write_text("* -text\n")
    (folder / ".git/info/exclude").write_text("__pycache__/\n*.pyc\n")
    git(folder, "add", "--all")
    return git(folder, "write-tree")


names = st.sampled_from(["a", "a.b", "a-b", "a0", "ab", "ä", "with space", "UPPER", "B"])
contents = st.tuples(st.binary(max_size=20), st.booleans())


@given(st.dictionaries(st.lists(names, min_size=1, max_size=3).map(tuple), contents, min_size=1, max_size=8))
@settings(max_examples=25)
def test_the_hash_is_gits(
    tmp_path_factory: pytest.TempPathFactory, files: dict[tuple[str, ...], tuple[bytes, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("tree")
    for parts, (content, executable) in files.items():
        path = folder.joinpath(*parts)
        if path.exists() or any(parent.is_file() for parent in path.parents):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o775 if executable else 0o640)
    assert tree_hash(upstream_blobs(folder)) == by_git(folder)


def test_links_and_compiled_files(tmp_path: Path) -> None:
    (tmp_path / "pkg" / "__pycache__").mkdir(parents=True)
    (tmp_path / "pkg" / "__pycache__" / "x.cpython-311.pyc").write_bytes(b"compiled")
    (tmp_path / "pkg" / "x.pyc").write_bytes(b"compiled")
    (tmp_path / "pkg" / "x.py").write_text("x = 1\n")
    (tmp_path / "link").symlink_to("pkg")
    (tmp_path / "empty").mkdir()
    assert sorted(upstream_blobs(tmp_path)) == ["link", "pkg/x.py"]
    assert tree_hash(upstream_blobs(tmp_path)) == by_git(tmp_path)
    (tmp_path / "pkg" / "gone.pyc").write_bytes(b"compiled")  # without its source, it is what Python imports
    assert "pkg/gone.pyc" in upstream_blobs(tmp_path)


def test_an_untouched_upstream_passes_and_is_printed(project: Project, toy: Path) -> None:
    pin = load_manifest(project, "toy").pin
    assert check_pin(load_manifest(project, "toy")) == pin
    command = [sys.executable, "-W", "error::RuntimeWarning", "-m", "patchkit", "pin"]
    assert subprocess.run(command, cwd=toy, capture_output=True, text=True, check=True).stdout == f"{pin}\n"


def test_an_edit_is_refused_with_both_hashes(project: Project, toy: Path) -> None:
    (toy / "upstream" / "toy" / "new.py").write_text("")
    manifest = load_manifest(project, "toy")
    with pytest.raises(PatchkitError, match=f"expected tree {manifest.pin}, found ") as refusal:
        check_pin(manifest)
    assert "git checkout -- " in refusal.value.fix and "`patchkit pin`" in refusal.value.fix
    assert "edited:" not in refusal.value.what  # no repository around it to compare with


def test_in_a_checkout_the_edited_files_are_named(project: Project, toy: Path) -> None:
    git(project.root, "init", "--quiet")
    (project.root / ".git/info/attributes").write_text("* -text\n")
    git(project.root, "add", "--all")
    git(project.root, "commit", "--quiet", "-m", "all")
    (toy / "upstream" / "toy" / "tap.py").write_text("")
    (toy / "upstream" / "bin" / "run").chmod(0o644)
    git(project.root, "commit", "--quiet", "-am", "an edit, even if committed")
    with pytest.raises(PatchkitError, match=r"\(edited: bin/run, toy/tap.py\)"):
        check_pin(load_manifest(project, "toy"))


def test_a_missing_upstream_is_refused(project: Project, toy: Path) -> None:
    (toy / "upstream").rename(toy / "elsewhere")
    with pytest.raises(PatchkitError, match="cannot read the upstream"):
        check_pin(load_manifest(project, "toy"))
