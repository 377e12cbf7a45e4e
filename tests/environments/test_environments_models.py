"""The embedded models: made whole or not at all, and in the form that vLLM reads."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from patchkit.environments import ensure_model, models
from patchkit.environments.models import tiny
from patchkit.errors import PatchkitError


def header(file: Path) -> dict[str, dict[str, object]]:
    """The index of a safetensors file."""
    with file.open("rb") as content:
        (length,) = struct.unpack("<Q", content.read(8))
        index: dict[str, dict[str, object]] = json.loads(content.read(length))
    return index


def test_the_tiny_model_is_made_once_and_the_same_each_time(cache: Path, tmp_path: Path) -> None:
    folder = ensure_model("tiny")
    stamp = (folder / "model.safetensors").stat().st_mtime_ns
    assert ensure_model("tiny") == folder == cache / "models" / "tiny"
    assert (folder / "model.safetensors").stat().st_mtime_ns == stamp
    again = tmp_path / "again"
    again.mkdir()
    tiny.write(again)
    assert (again / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_the_tiny_model_has_the_tensors_its_config_promises(cache: Path) -> None:
    folder = ensure_model("tiny")
    config = json.loads((folder / "config.json").read_text())
    index = header(folder / "model.safetensors")
    assert index["lm_head.weight"]["shape"] == [config["vocab_size"], config["hidden_size"]]
    layers = {name.split(".")[2] for name in index if name.startswith("model.layers.")}
    assert len(layers) == config["num_hidden_layers"]
    assert config["head_dim"] >= 32
    end = max(int(entry["data_offsets"][1]) for name, entry in index.items() if name != "__metadata__")  # type: ignore[index]
    length = struct.unpack("<Q", (folder / "model.safetensors").read_bytes()[:8])[0]
    assert (folder / "model.safetensors").stat().st_size == 8 + length + end


def test_the_tiny_vocabulary_covers_every_byte_and_merge() -> None:
    tokens = tiny.vocabulary()
    assert len(tokens) == len(set(tokens)) == tiny.VOCABULARY
    assert all(first in tokens and second in tokens for first, second in tiny.syllables())


def test_an_interrupted_model_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setitem(models.RECIPES, "tiny", (1, interrupted))
    with pytest.raises(KeyboardInterrupt):
        ensure_model("tiny")
    assert [path.name for path in (cache / "models").iterdir() if path.is_dir()] == []


def test_a_new_edition_replaces_the_old(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for edition in (1, 2):
        text = str(edition)
        monkeypatch.setitem(
            models.RECIPES, "tiny", (edition, lambda at, text=text: (at / "config.json").write_text(text))
        )
        assert (ensure_model("tiny") / "config.json").read_text() == text


def test_a_model_of_the_users(tmp_path: Path) -> None:
    assert ensure_model("someone/some-model") == Path("someone/some-model")
    with pytest.raises(PatchkitError, match=r"no config\.json"):
        ensure_model(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    assert ensure_model(str(tmp_path)) == tmp_path.resolve()
    with pytest.raises(PatchkitError, match="there is no model at"):
        ensure_model(str(tmp_path / "none"))
