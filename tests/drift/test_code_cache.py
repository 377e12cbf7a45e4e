"""What was read of a runtime's code is kept by everything that it depends on."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up_releases import MadeUp

from patchkit.drift import code_cache
from patchkit.drift.code_cache import read_cached
from patchkit.drift.touch import CallShape, CodeRead, Touch, Unread

READ = CodeRead((Touch("vllm.m.C.m", "wraps", "rt.py:1", CallShape(1, ("a",))),), (Unread("rt.py:2", "why"),))


class Hashed(MadeUp):
    digest = "abc"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATCHKIT_HOME", str(tmp_path))
    return tmp_path / "code"


def reads(made: str = "pin", vllm: MadeUp | None = None, types: dict[str, str] | None = None) -> bool:
    """Whether the code is read, not taken from what is kept."""
    asked: list[None] = []

    def read() -> CodeRead:
        asked.append(None)
        return READ

    assert read_cached([made], vllm or Hashed({}), types or {}, read) == READ
    return bool(asked)


def test_the_same_is_read_once() -> None:
    assert reads() and not reads()


def test_whatever_it_depends_on_makes_it_another(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Hashed({})
    other.digest = "def"
    assert reads() and reads("patched") and reads(vllm=other) and reads(types={"a": "b"})
    monkeypatch.setattr(code_cache, "_reader_version", lambda: "another reader")
    assert reads()


def test_a_source_without_a_hash_is_read_each_time(cache: Path) -> None:
    assert reads(vllm=MadeUp({})) and reads(vllm=MadeUp({})) and not cache.exists()


@pytest.mark.parametrize("damage", [b"", b"{}", b"0\n{}"])
def test_what_is_damaged_is_read_again(cache: Path, damage: bytes) -> None:
    assert reads()
    (kept,) = cache.iterdir()
    kept.write_bytes(damage)
    assert reads() and not reads()


def test_the_oldest_go(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_cache, "MOST", 4)
    assert all(reads(str(at)) for at in range(5))
    assert len(list(cache.iterdir())) == 3 and not reads("4")


def test_a_place_that_cannot_be_written_is_no_reason_to_fail(cache: Path) -> None:
    cache.write_text("a file")
    assert reads() and reads()
