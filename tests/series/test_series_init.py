"""``patchkit init``: a runtime in order as made; what does not suit is refused before anything is written."""

from __future__ import annotations

import subprocess
from pathlib import Path

import in_this_process
import pytest
from toy import git

from patchkit.environments.lock import locked_releases
from patchkit.errors import PatchkitError
from patchkit.gates.caught_by import check_caught_by
from patchkit.gates.loading import load_scenarios
from patchkit.gates.scenario import select
from patchkit.project import Project, find_project
from patchkit.series import Series, load_manifest, patched_tree
from patchkit.series.export import export
from patchkit.series.new_runtime import find_patches, new_runtime
from patchkit.series.pin import check_pin

NEWEST = locked_releases("cpu")[-1]


@pytest.fixture
def mine(tmp_path: Path) -> Project:
    """A project that has ``patches/`` alone, with a new runtime in it."""
    (tmp_path / "patches").mkdir()
    new_runtime(tmp_path / "patches", "my-runtime", NEWEST)
    return find_project(tmp_path)


def patchkit(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return in_this_process.run(*words, cwd=cwd, COLUMNS="100")


def test_it_is_pinned_and_its_patch_applies_and_is_exported_unchanged(mine: Project, tmp_path: Path) -> None:
    assert mine.root == tmp_path.resolve() and mine.runtimes() == ["my-runtime"]
    manifest = load_manifest(mine, "my-runtime")
    assert check_pin(manifest) == manifest.pin
    assert (manifest.package, manifest.start, manifest.developed_on) == ("my_runtime", "my_runtime:install", NEWEST)
    tree = patched_tree(mine, "my-runtime", NEWEST)
    assert len(tree.taken) == len(Series.load(manifest.folder).patches) == 1
    assert "feeds_newest" in (tree.path / "my_runtime" / "__init__.py").read_text()
    assert "feeds_newest" not in (manifest.upstream_folder / "my_runtime" / "__init__.py").read_text()
    assert export(manifest.folder, tree.path) == []


def test_no_word_of_the_template_is_left(mine: Project) -> None:
    files = [path for path in (mine.patches / "my-runtime").rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert "PACKAGE" not in str(path)
        assert not {"NAME", "PACKAGE", "RELEASE", "TREE"} & set(path.read_text().replace("`", " ").split())


def test_its_gates_are_the_shared_ones_and_its_own(mine: Project) -> None:
    assert not (mine.root / "scenarios").exists()
    scenarios = load_scenarios(mine, "my-runtime")
    gates = {gate.name for gate in select(scenarios)}
    assert gates - {path.stem for path in mine.scenarios.glob("*.yaml")} == {"one_token_prompts"}
    check_caught_by(mine, "my-runtime", scenarios)


def test_what_it_says_to_do_next_works_as_typed(tmp_path: Path) -> None:
    (tmp_path / "patches").mkdir()
    first, second = (patchkit("init", name, cwd=tmp_path) for name in ("one", "two"))
    assert (first.returncode, first.stderr) == (0, "") and first.stdout.startswith("wrote patches/one: ")
    assert f"patchkit gate --vllm {NEWEST} " in first.stdout and "--runtime" not in first.stdout
    assert f"patchkit gate --vllm {NEWEST} --runtime two" in second.stdout
    assert patchkit("status", "--runtime", "two", cwd=tmp_path).returncode == 0
    pin = patchkit("pin", "--runtime", "two", cwd=tmp_path).stdout.strip()
    assert pin == load_manifest(find_project(tmp_path), "two").pin


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("My", "is no name"),
        ("7up", "is no name"),
        ("a/b", "is no name"),
        ("..", "is no name"),
        ("a--b", "is no name"),
        ("é", "is no name"),
        ("", "is no name"),
        ("vllm", "would hide the Python package vllm"),
        ("json", "would hide the Python package json"),
    ],
)
def test_a_bad_name_is_refused(name: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "patches").mkdir()
    with pytest.raises(PatchkitError, match=why):
        new_runtime(tmp_path / "patches", name, NEWEST)
    assert not list((tmp_path / "patches").iterdir())


def test_a_name_that_is_taken_is_refused(mine: Project) -> None:
    (mine.patches / "my-runtime" / "series").write_text("")
    done = patchkit("init", "my-runtime", cwd=mine.root)
    assert (done.returncode, done.stdout) == (2, "")
    assert "my-runtime is there already; " in done.stderr and done.stderr.count("\n") == 1
    assert (mine.patches / "my-runtime" / "series").read_text() == ""


def test_outside_a_project_nothing_is_made(tmp_path: Path) -> None:
    done = patchkit("init", "mine", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "has no folder `patches`" in done.stderr and "mkdir patches" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_patches_further_up_is_meant_only_if_it_holds_runtimes(mine: Project, tmp_path: Path) -> None:
    below = mine.root / "some" / "where"
    below.mkdir(parents=True)
    assert find_patches(below) == mine.patches
    (tmp_path / "quilt" / "patches").mkdir(parents=True)
    (tmp_path / "quilt" / "below").mkdir()
    assert find_patches(tmp_path / "quilt") == tmp_path / "quilt" / "patches"
    assert find_patches(tmp_path / "quilt" / "below") == mine.patches


def test_a_bad_release_and_a_full_place_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "patches").mkdir()
    done = patchkit("init", "mine", "--vllm", "newest", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and "`newest` is no vLLM release" in done.stderr
    assert not list((tmp_path / "patches").iterdir())
    (tmp_path / "patches").rmdir()
    (tmp_path / "patches").touch()
    with pytest.raises(PatchkitError, match="cannot write"):
        new_runtime(tmp_path / "patches", "mine", NEWEST)


def test_a_commit_of_ones_own_becomes_a_patch(mine: Project) -> None:
    tree = patched_tree(mine, "my-runtime", NEWEST)
    code = tree.path / "my_runtime" / "__init__.py"
    code.write_text(code.read_text() + "\n# more\n")
    header = Series.load(mine.patches / "my-runtime").patches[0].path.read_text().partition("Drift: 1")[2]
    fields = "Drift: 2" + header.partition("\n---\n")[0]
    git(tree.path, "commit", "--quiet", "-am", f"Say more\n\nWhy.\n\n{fields}")
    done = patchkit("export", str(tree.path), cwd=mine.root)
    assert done.returncode == 0, done.stderr
    assert [Path(line).name for line in done.stdout.splitlines()] == ["0002-Say-more.patch", "series"]
