"""Hashes that distinguish a model or a grader from another of the same name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from patchkit.bench.digests import SMALL, digest, grader_digest, model_digest


def model(folder: Path, weights: bytes = b"w" * SMALL, template: str = "a") -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "chat_template.jinja").write_text(template)
    (folder / "model.safetensors").write_bytes(weights)
    os.utime(folder / "model.safetensors", ns=(0, 0))
    return folder


def test_a_model_is_told_by_its_small_files_and_the_times_of_its_large_ones(tmp_path: Path) -> None:
    first, template = model(tmp_path / "a"), model(tmp_path / "b", template="b")
    again = model(tmp_path / "c")
    assert model_digest(first) == model_digest(again) != model_digest(template)
    os.utime(again / "model.safetensors", ns=(1, 1))
    assert model_digest(first) != model_digest(again), "trained on, in place"
    assert digest(first) == digest(again), "on two hosts times say nothing"
    assert model_digest(tmp_path / "none") == ""


def test_a_grader_is_told_by_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "graded_by.py").write_text("def grade(problem, text): ...\n")
    first = grader_digest("graded_by:grade")
    (tmp_path / "graded_by.py").write_text("def grade(problem, text): ...  # changed\n")
    assert grader_digest("graded_by:grade") != first
    assert grader_digest("integer") != grader_digest("maths")
