"""The sources of a checkout, of an unpacked release, of an interpreter: which release they are, and their files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from git import Actor, Repo
from local_index import HERE, MODULES, Index

from patchkit.drift.source import Checkout, installed, source_of
from patchkit.errors import PatchkitError

ME = Actor("somebody", "somebody@example.org")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with the made-up package."""
    folder = tmp_path / "a tree [1]"
    for path, text in MODULES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text.encode())
    return folder


def committed(repo: Repo, message: str) -> None:
    repo.git.add("--all")
    repo.index.commit(message, author=ME, committer=ME)


def test_files_of_a_folder(tree: Path) -> None:
    (tree / "vllm" / "data.json").write_text("{}")
    for source in (Checkout(tree), Checkout(tree / "vllm")):
        assert sorted(source.paths()) == sorted(MODULES)
        assert source.read("vllm/engine/core.py") == MODULES["vllm/engine/core.py"]
        assert source.read("vllm/engine/none.py") is None and source.read("vllm/engine") is None
        assert source.read("vllm/__init__.py/x.py") is None
        assert source.read("../secret.py") is None and source.read("vllm/../../secret.py") is None
        assert source.release == "unknown"
    assert Checkout(tree).origin == str(tree)
    assert Checkout(tree, "0.20.0").release == "0.20.0"


@pytest.mark.parametrize("name", ["vllm", "other", "none"])
def test_a_folder_without_vllm(tmp_path: Path, name: str) -> None:
    (tmp_path / "vllm").mkdir()
    (tmp_path / "other").mkdir()
    with pytest.raises(PatchkitError, match="no such folder" if name == "none" else "no vLLM in it"):
        Checkout(tmp_path / name)


@pytest.mark.parametrize(
    ("line", "release"),
    [
        ("__version__ = version = '0.20.0'\n", "0.20.0"),
        ('version: str\n\n__version__ = "0.20.1.dev15+gabc1234.d20260101"\n', "0.20.1.dev15"),
        ("version = '0.12.0+cpu'\n", "0.12.0"),
        ("nothing = '1'\n", "0.19.0"),
    ],
)
def test_the_release_by_what_a_build_left(tree: Path, line: str, release: str) -> None:
    (tree / "vllm" / "_version.py").write_text(line)
    (tree / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 0.19.0\n\nVersion: no\n")
    assert Checkout(tree).release == release


def test_the_release_by_an_unpacked_wheel(tree: Path) -> None:
    (tree / "vllm-0.18.0.dist-info").mkdir()
    (tree / "vllm-0.18.0.dist-info" / "METADATA").write_text("Name: vllm\nVersion: 0.18.0+cpu\n")
    assert Checkout(tree).release == "0.18.0"


def test_the_release_by_the_tags_of_a_checkout(tree: Path) -> None:
    repo = Repo.init(tree)
    assert Checkout(tree).release == "unknown"
    committed(repo, "first")
    repo.create_tag("nightly")
    assert Checkout(tree).release == "unknown"
    repo.create_tag("v0.20.0rc1")
    assert Checkout(tree).release == "0.20.0rc1"
    (tree / "vllm" / "more.py").touch()
    committed(repo, "second")
    assert Checkout(tree).release == f"0.20.0rc1+1.g{repo.git.rev_parse('--short', 'HEAD')}"
    assert Checkout(tree / "vllm").release == Checkout(tree).release


def test_the_tags_of_a_repository_around_it_say_nothing(tree: Path) -> None:
    repo = Repo.init(tree.parent)
    committed(repo, "another project")
    repo.create_tag("v9.9.9")
    assert Checkout(tree).release == "unknown"


def test_what_an_interpreter_would_import(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "vllm" / "__init__.py").write_text("raise SystemExit('imported')\n")
    (tree / "vllm" / "_version.py").write_text("__version__ = version = '0.20.0+cpu'\n")
    monkeypatch.setenv("PYTHONPATH", str(tree))
    source = installed(Path(sys.executable))
    assert source.release == "0.20.0"
    assert source.origin == f"{tree / 'vllm'} ({sys.executable})"
    assert source.read("vllm/engine/core.py") == MODULES["vllm/engine/core.py"]
    with pytest.raises(PatchkitError, match="no such file"):
        installed(tree / "python")


def test_a_release_by_its_name(index: Index, tree: Path) -> None:
    index.add(f"vllm-0.12.0-cp38-abi3-{HERE}.whl")
    sources = [source_of("0.12"), Checkout(tree)]
    assert [source.release for source in sources] == ["0.12.0", "unknown"]
    for source in sources:
        assert {path: source.read(path) for path in source.paths()} == MODULES
    with pytest.raises(PatchkitError, match=r"near it are 0\.12\.0"):
        source_of("0.12.1")
