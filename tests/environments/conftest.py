"""A cache folder of one's own, and a release that installs in an instant."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchkit.environments import lock

RELEASE = "9.9.9"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of patchkit."""
    monkeypatch.setenv("PATCHKIT_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of locks that holds one, of a single small package, under the release 9.9.9."""
    folder = tmp_path / "locks"
    folder.mkdir()
    (folder / f"{RELEASE}-cpu.txt").write_text("# a small one\niniconfig==2.1.0\n")
    monkeypatch.setattr(lock, "FOLDER", folder)
    return folder
