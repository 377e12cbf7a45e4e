"""Fields that others write behind ours are kept; those that nobody knows are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_series_patch import PATH, TEXT
from toy import MESSAGE, fix_tap, git, prose_of

from patchkit.errors import PatchkitError
from patchkit.project import Project
from patchkit.series import Series, patched_tree
from patchkit.series.export import export
from patchkit.series.patch_parsing import parse

SIGNED = "Signed-off-by: Ada <ada@example.org>\n"
KEPT = [
    "Co-authored-by: Eve <eve@example.org>",
    "Co-Authored-By: Eve <eve@example.org>",
    "Reviewed-by: Bob <bob@example.org>",
    f"(cherry picked from commit {'c' * 40})",
    "Fixes: 1234567 (An earlier one)",
    "Change-Id: I0123456789",
    "Origin: backport, https://example.org/1",
    "Bug: https://example.org/2",
    "Bug-Debian: https://bugs.example.org/3",
    "Applied-Upstream: 0.30.0",
    "Last-Update: 2026-01-02",
    "Author: Eve <eve@example.org>,\n Bob <bob@example.org>",
]


@pytest.mark.parametrize("line", KEPT)
@pytest.mark.parametrize("before", ["", "\n"], ids=["same-paragraph", "own-paragraph"])
def test_trailers_are_kept(line: str, before: str) -> None:
    found = parse(TEXT.replace(SIGNED, f"{SIGNED}{before}{line}\n").encode(), PATH)
    assert line in found.body and found.forwarded == "no" and found.drift == 4
    assert prose_of(found) == "Prose of a line.\n\nAnd of another."
    assert parse(bytes(found), PATH) == found


def test_what_git_makes_of_a_commit_is_exported(project: Project, toy: Path, place: Path) -> None:
    """As ``commit --signoff`` and ``cherry-pick -x`` and a code host write them."""
    tree = patched_tree(project, "toy", "0.20.0").path
    fix_tap(tree, 3)
    facts = {"number": 9, "kind": "loud", "applies_to": "vllm", "more": ""}
    message = MESSAGE.format(subject="Fix tap 3", **facts) + "\nCo-authored-by: Eve <eve@example.org>\n"
    git(tree, "commit", "--quiet", "--signoff", "-am", message)
    commit = git(tree, "rev-parse", "HEAD")
    git(tree, "reset", "--quiet", "--hard", "HEAD~1")
    git(tree, "cherry-pick", "-x", commit)
    export(toy, tree)
    body = Series.load(toy).patches[-1].body
    for said in ("Co-authored-by: Eve", "Signed-off-by: Ada", f"(cherry picked from commit {commit})"):
        assert said in body
    again = patched_tree(project, "toy", "0.20.0")
    assert again.fresh and f"(cherry picked from commit {commit})" in git(again.path, "log", "-1", "--format=%b")


@pytest.mark.parametrize(
    "line", ["Forwardde: no", "Depend: 0001-a", "depends: 0001-a", "Caught-by: x: y", "plain words"]
)
def test_what_nobody_knows_is_refused(line: str) -> None:
    with pytest.raises(PatchkitError, match="is not a header field"):
        parse(TEXT.replace(SIGNED, f"{line}\n").encode(), PATH)


def test_prose_is_no_trailer() -> None:
    """Fields of ours above a paragraph that is not all trailers are not looked for."""
    with pytest.raises(PatchkitError, match="is not a header field"):
        parse(TEXT.replace(SIGNED, "\nSee-also: x\nand then some prose\n").encode(), PATH)
