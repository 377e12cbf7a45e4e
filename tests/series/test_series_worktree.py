"""Trees: reproducible, isolated, whole or absent, never over a user's edits."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import msgspec
import pytest
from toy import MESSAGE, edit, fix_tap, git

from patchkit.errors import PatchkitError
from patchkit.project import Project
from patchkit.series import Tree, patched_tree
from patchkit.series.export import export
from patchkit.series.pin import tree_hash, upstream_blobs
from patchkit.series.tree_state import read_stamp, write_stamp
from patchkit.series.worktree import applied_trees, made_of


def apply(project: Project, release: str = "0.20.0", *without: str, into: Path | None = None) -> Tree:
    return patched_tree(project, "toy", release, without, into)


def test_a_commit_per_patch_on_the_pin(project: Project, place: Path) -> None:
    tree = apply(project)
    assert (tree.path, tree.fresh, [patch.number for patch in tree.taken]) == (place, True, [1, 2, 3, 4])
    subjects = git(place, "log", "--reverse", "--format=%s").splitlines()
    assert subjects == [f"toy upstream, pin {tree.pin}", "Fix tap 1", "Fix tap 6", "Fix tap 10", "Fix tap 7"]
    assert git(place, "rev-parse", "HEAD~4^{tree}") == tree.pin
    assert git(place, "rev-parse", "HEAD") == tree.head == tree.commits["0004-Fix-tap-7"]
    assert git(place, "log", "-1", "--format=%an %ae %aI") == "Ada Löwe ada@example.org 2025-01-06T12:00:00+01:00"
    assert git(place, "log", "-1", "--format=%b").startswith("Why it is needed, in a line or two.\n\nDrift: 4 (latent)")
    assert (place / "toy" / "tap.py").read_text().count(".clone()") == 4
    assert (place / "bin" / "run").stat().st_mode & 0o111


def test_what_a_tree_would_be_made_of_is_told_without_laying_it_out(project: Project, place: Path) -> None:
    made = made_of(project, "toy", "0.20.0")
    assert not place.exists() and len(made) == 5 and made[0] == apply(project).pin
    assert made_of(project, "toy", "0.20.0", ["2"]) == [*made[:2], *made[3:]]
    patch = next((project.root / "patches" / "toy").glob("0002-*.patch"))
    patch.write_text(patch.read_text().replace("Why it is needed", "Why it was needed"))
    assert [one == other for one, other in zip(made, made_of(project, "toy", "0.20.0"), strict=True)][2] is False


def test_the_same_inputs_give_the_same_commits(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = apply(project)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for hook in ("post-commit", "applypatch-msg", "pre-applypatch", "post-checkout", "commit-msg"):
        (hooks / hook).write_text("#!/bin/sh\nexit 1\n")
        (hooks / hook).chmod(0o755)
    (tmp_path / "gitconfig").write_text(
        f"[user]\nname = Eve\n[commit]\ngpgSign = true\n[core]\nautocrlf = true\nhooksPath = {hooks}\n"
        "[am]\nkeepcr = false\n[init]\ndefaultBranch = eve\n[i18n]\ncommitEncoding = latin1\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "commit.gpgSign")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "true")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "nowhere" / "index"))
    monkeypatch.setenv("GIT_AUTHOR_DATE", "2001-01-01T00:00:00")
    other = apply(project, into=tmp_path / "other")
    assert (other.head, other.commits) == (plain.head, plain.commits)
    assert not (tmp_path / "nowhere").exists()


def test_left_out_patches_need_no_context_of_their_neighbours(project: Project) -> None:
    tree = apply(project, "0.20.0", "2")
    assert tree.path.name == "0.20.0-without-0002"
    assert [(patch.number, why) for patch, why in tree.left] == [(2, "left out by --without")]
    assert git(tree.path, "status", "--porcelain") == ""
    assert [tap for tap in range(12) if f"rows[{tap}].clone()" in (tree.path / "toy/tap.py").read_text()] == [1, 7, 10]


def test_a_second_apply_does_nothing(project: Project, place: Path) -> None:
    first = apply(project)
    stamp = (place / "toy" / "tap.py").stat()
    (place / "toy" / "__pycache__").mkdir()
    (place / "toy" / "__pycache__" / "tap.cpython-311.pyc").write_bytes(b"compiled")
    second = apply(project)
    assert (second.fresh, second.head, second.commits) == (False, first.head, first.commits)
    now = (place / "toy" / "tap.py").stat()
    assert (now.st_ino, now.st_mtime_ns) == (stamp.st_ino, stamp.st_mtime_ns)


def test_a_changed_patch_replaces_an_unmodified_tree(project: Project, toy: Path) -> None:
    first = apply(project)
    edit(toy / "0004-Fix-tap-7.patch", "+    return rows[7].clone()", "+    return rows[7].copy()")
    second = apply(project)
    assert second.fresh and second.head != first.head
    assert "rows[7].copy()" in (second.path / "toy" / "tap.py").read_text()


def test_an_edited_tree_is_refused_and_kept(project: Project, place: Path) -> None:
    apply(project)
    fix_tap(place, 3)
    (place / "notes.txt").write_text("mine")
    with pytest.raises(PatchkitError, match=r"was edited .*\(toy/tap.py, notes.txt\).*--into") as refusal:
        apply(project)
    assert str(place) in str(refusal.value)
    git(place, "add", "--all")
    git(place, "commit", "--quiet", "-m", "mine")
    with pytest.raises(PatchkitError, match="commits of your own"):
        apply(project)
    assert (place / "notes.txt").read_text() == "mine"
    shutil.rmtree(place / ".git" / "refs")
    with pytest.raises(PatchkitError, match="cannot determine whether"):
        apply(project)


def test_into_a_folder_that_is_not_ours_is_refused(project: Project, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    assert apply(project, into=mine).path == mine
    assert not apply(project, into=mine).fresh
    assert apply(project, "0.12.0", into=mine).fresh
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    with pytest.raises(PatchkitError, match="is no tree of patchkit's"):
        apply(project, into=other)
    with pytest.raises(PatchkitError, match="Not a directory"):
        apply(project, into=other / "thesis.tex")
    with pytest.raises(PatchkitError, match="Not a directory"):
        apply(project, into=other / "thesis.tex" / "below")
    assert (other / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("stamp", [b"", b"{}", b'{"runtime": "\xff"}', None])
def test_a_tree_whose_stamp_is_damaged_is_refused_and_kept(project: Project, place: Path, stamp: bytes | None) -> None:
    apply(project)
    file = place / ".git" / "patchkit.json"
    file.write_bytes(stamp if stamp is not None else re.sub(rb'"commits":\[[^]]*]', b'"commits":[]', file.read_bytes()))
    with pytest.raises(PatchkitError, match="is no tree of patchkit's"):
        apply(project)
    assert applied_trees(project, "toy") == []
    assert (place / "toy").is_dir()


def test_a_patch_that_no_longer_applies(project: Project, toy: Path, place: Path) -> None:
    edit(toy / "0003-Fix-tap-10.patch", "-    return rows[10]", "-    return row[10]")
    said = r"0003-Fix-tap-10 does not apply: toy/tap.py:\d+, hunk @@ -\d+,\d+ \+\d+,\d+ @@.*--without 3"
    with pytest.raises(PatchkitError, match=said):
        apply(project)
    assert list(place.parent.iterdir()) == []


def test_a_patch_for_a_missing_file(project: Project, toy: Path) -> None:
    patch = toy / "0003-Fix-tap-10.patch"
    patch.write_text(re.sub("index .{40}", "index " + "d" * 40, patch.read_text().replace("toy/tap.py", "toy/gone.py")))
    with pytest.raises(PatchkitError, match=r"0003-Fix-tap-10 does not apply: toy/gone.py: "):
        apply(project)


def test_a_patch_that_is_already_in(project: Project, toy: Path) -> None:
    text = (toy / "0003-Fix-tap-10.patch").read_text().replace("Fix tap 10", "Fix it again")
    (toy / "0005-again.patch").write_text(text)
    with (toy / "series").open("a") as file:
        file.write("0005-again.patch\n")
    with pytest.raises(PatchkitError, match="0005-again changes nothing"):
        apply(project)


def test_an_upstream_at_a_url(project: Project, toy: Path, tmp_path: Path) -> None:
    embedded = apply(project)
    remote = shutil.move(toy / "upstream", tmp_path / "remote")
    git(remote, "init", "--quiet")
    (remote / ".git/info/attributes").write_text("* -text\n")
    git(remote, "add", "--all")
    git(remote, "commit", "--quiet", "-m", "release")
    commit = git(remote, "rev-parse", "HEAD")
    git(remote, "commit", "--quiet", "--allow-empty", "-m", "later")
    edit(toy / "runtime.yaml", "path: upstream", f"url: {remote.as_uri()}")
    edit(toy / "runtime.yaml", f"tree: {embedded.pin}", f"commit: {commit}")
    fetched = apply(project)
    assert (fetched.fresh, fetched.pin) == (True, commit)
    assert (fetched.path / "toy" / "tap.py").read_text().count(".clone()") == 4
    assert git(fetched.path, "rev-list", "--count", "HEAD") == "5"
    shutil.rmtree(remote)
    with pytest.raises(PatchkitError, match="cannot lay out"):
        apply(project, "0.12.0")


def test_what_a_note_says_of_a_tree_is_not_believed(project: Project, toy: Path, place: Path) -> None:
    """A ninth commit, exported, whose patch is taken out again: the tree is laid out as the series says."""
    first = apply(project)
    fix_tap(place, 3)
    facts = {"number": 9, "kind": "loud", "applies_to": "vllm", "more": ""}
    git(place, "commit", "--quiet", "-am", MESSAGE.format(subject="Fix tap 3", **facts))
    before = (toy / "series").read_text()
    export(toy, place)
    assert [edits for _, _, edits in applied_trees(project, "toy")] == [["exported commits of your own"]]
    (toy / "series").write_text(before)
    (toy / "0005-Fix-tap-3.patch").unlink()
    second = apply(project)
    assert (second.fresh, second.head, second.hash) == (True, first.head, first.hash)
    assert git(place, "rev-list", "--count", "HEAD") == "5"
    assert not apply(project).fresh


@pytest.mark.parametrize("applies_to", ["vllm", "vllm >=0.21.0"])
def test_commits_that_were_exported_are_applied_as_the_series_says(
    project: Project, toy: Path, place: Path, applies_to: str
) -> None:
    apply(project)
    fix_tap(place, 3)
    facts = {"number": 9, "kind": "loud", "applies_to": applies_to, "more": ""}
    git(place, "commit", "--quiet", "-am", MESSAGE.format(subject="Fix tap 3", **facts))
    export(toy, place)
    again = apply(project)
    assert again.fresh
    assert (
        ("rows[3].clone()" in (place / "toy/tap.py").read_text()) == (applies_to == "vllm") == (len(again.taken) == 5)
    )


def test_a_stamp_that_names_another_commit_is_not_believed(project: Project, place: Path) -> None:
    apply(project)
    fix_tap(place, 3)
    git(place, "commit", "--quiet", "-am", "mine")
    stamp = read_stamp(place)
    assert stamp is not None
    write_stamp(place, msgspec.structs.replace(stamp, head=git(place, "rev-parse", "HEAD")))
    with pytest.raises(PatchkitError, match=r"does not hold what the series makes.*--into"):
        apply(project)
    assert git(place, "log", "-1", "--format=%s") == "mine"


def test_compiled_code_without_its_source_is_a_file_of_the_tree(project: Project, place: Path) -> None:
    apply(project)
    (place / "toy" / "tap.pyc").write_bytes(b"compiled")  # its source is beside it, and wins
    assert not apply(project).fresh
    (place / "toy" / "more.pyc").write_bytes(b"compiled")
    with pytest.raises(PatchkitError, match=r"was edited .*toy/more\.pyc"):
        apply(project)


def test_files_are_compared_by_content_where_git_is_told_to_look_away(project: Project, place: Path) -> None:
    apply(project)
    git(place, "update-index", "--assume-unchanged", "toy/tap.py")
    fix_tap(place, 3)
    with pytest.raises(PatchkitError, match=r"was edited .*\(toy/tap.py\)"):
        apply(project)
    git(place, "update-index", "--no-assume-unchanged", "toy/tap.py")
    git(place, "checkout", "--quiet", "--", "toy/tap.py")
    assert not apply(project).fresh
    with (place / ".git/info/exclude").open("a") as file:
        file.write("extra.py\n")
    (place / "toy" / "extra.py").write_text("")
    with pytest.raises(PatchkitError, match=r"was edited .*\(toy/extra.py\)"):
        apply(project)


def test_the_hash_is_gits_of_what_lies_there(project: Project, place: Path) -> None:
    tree = apply(project)
    assert tree.hash == git(place, "rev-parse", "HEAD^{tree}") == tree_hash(upstream_blobs(place))
    assert apply(project, "0.20.0", "2").hash != tree.hash


def test_a_tree_of_an_older_patchkit_is_laid_out_again(project: Project, place: Path) -> None:
    first = apply(project)
    stamp = read_stamp(place)
    assert stamp is not None
    write_stamp(place, msgspec.structs.replace(stamp, tree=""))
    second = apply(project)
    assert (second.fresh, second.hash) == (True, first.hash)


@pytest.mark.parametrize("written", ["0.20", "v0.20.0", "0.20.0.0"])
def test_a_release_has_one_name(project: Project, place: Path, written: str) -> None:
    first = apply(project)
    second = apply(project, written)
    assert (second.path, second.release, second.fresh) == (place, "0.20.0", False)
    assert second.head == first.head
