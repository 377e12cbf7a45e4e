"""A tree that is not installed, as a distribution with entry points."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from patchkit.errors import PatchkitError
from patchkit.series.entry_points import metadata_of

PROJECT = """
[project]
name = "made-up"
version = "1.0"

[project.entry-points."vllm.general_plugins"]
made_up = "made_up.plugin:load"
"""


def tree(folder: Path, text: str | None) -> SimpleNamespace:
    place = folder / "0.28.0"
    place.mkdir()
    if text is not None:
        (place / "pyproject.toml").write_text(text)
    return SimpleNamespace(path=place)


def test_an_interpreter_finds_the_entry_point_of_a_tree_on_its_path(tmp_path: Path) -> None:
    made = tree(tmp_path, PROJECT)
    (made.path / "made_up").mkdir()
    (made.path / "made_up" / "__init__.py").write_text("")
    (made.path / "made_up" / "plugin.py").write_text("def load(): print('loaded')")
    path = f"{made.path}:{metadata_of(made)}"
    script = "from importlib.metadata import entry_points as e; [p.load()() for p in e(group='vllm.general_plugins')]"
    done = subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": path}, capture_output=True, text=True)
    assert done.stdout == "loaded\n", done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "is no package: it has no pyproject.toml"),
        ("[project", "pyproject.toml"),
        ('[project]\nname = "x"\nversion = "1"', "has no entry-points"),
    ],
)
def test_a_tree_without_entry_points_is_one_line(tmp_path: Path, text: str | None, said: str) -> None:
    with pytest.raises(PatchkitError) as error:
        metadata_of(tree(tmp_path, text))
    assert said in str(error.value) and "\n" not in str(error.value)
