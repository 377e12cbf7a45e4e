"""Trees of mutants: what each of them is, what is refused, and that it takes no time."""

from __future__ import annotations

import difflib
import os
import re
import time
from pathlib import Path

import pytest
from toy import TAP

from patchkit.errors import PatchkitError
from patchkit.project import Project, find_project
from patchkit.series import Tree, load_manifest, patched_tree
from patchkit.series.mutant import Mutant, read_mutant
from patchkit.series.mutant_trees import mutated_trees
from patchkit.series.mutants import load_mutants, meant_for

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def tree(project: Project) -> Tree:
    return patched_tree(project, "toy", "0.20.0")


class Maker:
    """Writes mutants of the toy's taps."""

    def __init__(self, folder: Path, before: str) -> None:
        self.folder, self.before = folder, before
        folder.mkdir()

    def diff(self, old: str, new: str) -> str:
        assert old in self.before
        pair = (self.before.splitlines(True), self.before.replace(old, new, 1).splitlines(True))
        return "diff --git a/toy/tap.py b/toy/tap.py\n" + "".join(
            difflib.unified_diff(*pair, "a/toy/tap.py", "b/toy/tap.py")
        )

    def write(self, number: int, diff: str, more: str = "") -> Mutant:
        path = self.folder / f"{number:03}-made-up.patch"
        path.write_text(f"Subject: It is wrong\n\nFamily: rows\nCaught-By: identity: differs\n{more}---\n{diff}")
        return read_mutant(path)


@pytest.fixture
def make(project: Project, tree: Tree) -> Maker:
    return Maker(project.patches / "toy" / "mutants", (tree.path / "toy/tap.py").read_text())


def test_each_has_a_tree_of_its_own_and_nothing_is_left(tree: Tree, make: Maker) -> None:
    mutants = [make.write(at, make.diff(f"def tap_{at}(rows)", f"def tap_{at}(cows)")) for at in range(3)]
    before = {path: path.read_bytes() for path in tree.path.rglob("*") if path.is_file()}
    (tree.path / "toy" / "__pycache__").mkdir()
    with mutated_trees(tree, mutants) as trees:
        for at, mutant in enumerate(mutants):
            text = (trees[mutant.name] / "toy/tap.py").read_text()
            assert re.findall(r"tap_(\d+)\(cows\)", text) == [str(at)]
            tables = trees[mutant.name] / "toy/tables.py"
            assert tables.read_bytes() == (tree.path / "toy/tables.py").read_bytes()
            assert not tables.samefile(tree.path / "toy/tables.py")  # who edits the tree changes no mutant
            assert os.access(trees[mutant.name] / "bin/run", os.X_OK)
            assert not (trees[mutant.name] / ".git").exists() and not list(trees[mutant.name].rglob("__pycache__"))
    assert {path: path.read_bytes() for path in tree.path.rglob("*") if path.is_file()} == before
    assert [path.name for path in tree.path.parent.iterdir()] == [tree.path.name]


def test_lines_may_have_moved(tree: Tree, make: Maker) -> None:
    diff = make.diff("rows[11]", "rows[12]").replace("@@ -43,4 +43,4 @@", "@@ -33,4 +33,4 @@")
    with mutated_trees(tree, [make.write(1, diff)]) as trees:
        assert "rows[12]" in (trees["001-made-up"] / "toy/tap.py").read_text()


GONE = "diff --git a/toy/tap.py b/toy/tap.py\ndeleted file mode 100644\n--- a/toy/tap.py\n+++ /dev/null\n"
NEW = "diff --git a/x.py b/x.py\nnew file mode 100644\n--- /dev/null\n+++ b/x.py\n@@ -0,0 +1 @@\n+import toy\n"


def test_a_file_may_come_and_go(tree: Tree, make: Maker) -> None:
    lines = make.before.splitlines(True)
    gone = f"{GONE}@@ -1,{len(lines)} +0,0 @@\n" + "".join(f"-{line}" for line in lines)
    with mutated_trees(tree, [make.write(1, gone), make.write(2, NEW)]) as trees:
        assert not (trees["001-made-up"] / "toy/tap.py").exists()
        assert (trees["002-made-up"] / "x.py").read_text() == "import toy\n"


def refused(tree: Tree, *mutants: Mutant) -> str:
    with pytest.raises(PatchkitError) as refusal, mutated_trees(tree, mutants):
        raise AssertionError("a tree was made")
    assert [path.name for path in tree.path.parent.iterdir()] == [tree.path.name]
    assert "\n" not in str(refusal.value) and refusal.value.fix
    return str(refusal.value)


def test_what_does_not_apply_is_refused(tree: Tree, make: Maker) -> None:
    wrong = make.diff("rows[5]", "rows[4]").replace("rows[5]", "rows[55]")
    said = refused(tree, make.write(1, wrong))
    assert "001-made-up.patch does not apply: patch failed: toy/tap.py:" in said
    assert "does not apply" in refused(tree, make.write(2, NEW.replace("x.py", "../x.py")))


def test_what_changes_nothing_is_refused(tree: Tree, make: Maker) -> None:
    comment = make.diff("return rows[5]\n", "return rows[5]  # five\n")
    assert "changes nothing that runs" in refused(tree, make.write(1, comment))
    same = make.diff("rows[5]", "rows[4]").replace("+    return rows[4]", "+    return rows[5]")
    assert "changes nothing that runs" in refused(tree, make.write(2, same))


def test_what_is_no_python_is_refused(tree: Tree, make: Maker) -> None:
    assert "toy/tap.py is not valid Python any more" in refused(tree, make.write(1, make.diff("rows[5]", "rows[5")))


def test_twins_are_refused(tree: Tree, make: Maker) -> None:
    diff = make.diff("rows[5]", "rows[4]")
    assert "002-made-up.patch does the same as " in refused(tree, make.write(1, diff), make.write(2, diff))


def test_what_a_killed_run_left_is_cleared(tree: Tree, make: Maker) -> None:
    dead, alive = tree.path.parent / ".mutants-999999999", tree.path.parent / f".mutants-{os.getppid()}"
    for folder in (dead, alive):
        folder.mkdir()
    with mutated_trees(tree, [make.write(1, make.diff("rows[5]", "rows[4]"))]):
        assert not dead.exists() and alive.exists()


def test_only_those_of_this_release_are_meant(project: Project, make: Maker) -> None:
    diff = make.diff("def tap_5", "def tap_55")
    make.write(1, diff)
    make.write(2, diff, "Applies-To: vllm >=0.20.0\n")
    make.write(3, diff, "Depends: 0003-Fix-tap-10\n")
    every = load_mutants(make.folder)
    for release, numbers in {"0.20.0": [1, 2, 3], "0.14.1": [1, 3], "0.10.1.1": [1]}.items():
        found = meant_for(every, patched_tree(project, "toy", release))
        assert [mutant.number for mutant in found] == numbers
    with pytest.raises(PatchkitError, match="no mutant is meant for vLLM"):
        meant_for(every[1:], patched_tree(project, "toy", "0.10.1.1"))
    make.write(4, diff, "Depends: 0009-nothing\n")
    with pytest.raises(PatchkitError, match=r"004-made-up\.patch: Depends: the series has no 0009-nothing"):
        meant_for(load_mutants(make.folder), patched_tree(project, "toy", "0.20.0"))


def test_a_mutant_is_for_one_model_runner(project: Project, make: Maker) -> None:
    diff = make.diff("def tap_5", "def tap_55")
    make.write(1, diff)
    make.write(2, diff, "Runner: v2\n")
    every, tree = load_mutants(make.folder), patched_tree(project, "toy", "0.20.0")
    assert [mutant.number for mutant in meant_for(every, tree)] == [1]
    assert [mutant.number for mutant in meant_for(every, tree, "v2")] == [2]
    with pytest.raises(PatchkitError, match=r"no mutant is meant for vLLM 0\.20\.0 with its second model runner"):
        meant_for(every[:1], tree, "v2")


def test_a_hundred_trees_take_seconds(tree: Tree, make: Maker) -> None:
    mutants = [
        make.write(at, make.diff(f"return rows[{at % 12}]", f"return {at}, rows[{at % 12}]")) for at in range(100)
    ]
    began = time.monotonic()
    with mutated_trees(tree, mutants) as trees:
        assert len(trees) == 100
    assert time.monotonic() - began < 20  # about one, on two cores that do nothing else


@pytest.mark.parametrize("folder", sorted((CHECKOUT / "patches").glob("*/mutants")), ids=lambda path: path.parent.name)
def test_every_mutant_there_is_applies_to_the_newest_proven_release(folder: Path, tmp_path: Path) -> None:
    project = Project(find_project(CHECKOUT).root, tmp_path)
    release = load_manifest(project, folder.parent.name).proven[-1]
    tree = patched_tree(project, folder.parent.name, release)
    mutants = meant_for(load_mutants(folder), tree)
    with mutated_trees(tree, mutants) as trees:
        assert len(trees) == len(mutants)


def test_the_toy_is_what_the_tests_take_it_for(make: Maker) -> None:
    assert make.before != TAP and make.before.count("return rows[") == 12
