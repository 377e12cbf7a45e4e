"""The embedded models: made once into the user's cache, as folders in Hugging Face's format."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from patchkit import console
from patchkit.environments.environment import exclusive
from patchkit.environments.models import smollm2, tiny
from patchkit.errors import PatchkitError
from patchkit.project import cache_home

MARKER = "patchkit-model.json"

RECIPES: dict[str, tuple[int, Callable[[Path], None]]] = {
    "tiny": (tiny.EDITION, tiny.write),
    "smollm2-135m": (smollm2.EDITION, smollm2.write),
}
"""Name → (edition, what writes it into an empty folder). A new edition replaces the model in the cache."""


def ensure_model(name_or_path: str) -> Path:
    """The folder of a model: an embedded one by name (made if it is not there yet), or a path of the user's.

    What is neither is returned as given: an id on the hub, which vLLM resolves.

    Raises:
        PatchkitError: an embedded model cannot be made, or the name looks like a path and nothing is there.
    """
    if name_or_path in RECIPES:
        return _embedded(name_or_path)
    path = Path(name_or_path).expanduser()
    if path.exists():
        if not (path / "config.json").is_file():
            raise PatchkitError(f"{path} is no model: it has no config.json", "give a folder in Hugging Face's format")
        return path.resolve()
    if name_or_path.startswith(("/", ".", "~")) or name_or_path.count("/") > 1:
        known = ", ".join(RECIPES)
        raise PatchkitError(f"there is no model at {path}", f"give a folder, a hub id, or one of {known}")
    return Path(name_or_path)


def _embedded(name: str) -> Path:
    edition, write = RECIPES[name]
    folder = cache_home() / "models" / name
    if _edition(folder) == edition:
        return folder
    with exclusive(folder):
        if _edition(folder) != edition:
            with console.working(f"making the model {name} (once)"):
                _make(folder, edition, write)
    return folder


def _edition(folder: Path) -> object:
    """The edition of the model in ``folder``, or None if there is none."""
    try:
        return json.loads((folder / MARKER).read_text())["edition"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _make(folder: Path, edition: int, write: Callable[[Path], None]) -> None:
    """Write the model into a temporary folder beside ``folder``, then put it in place in one step."""
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        write(temporary)
        (temporary / MARKER).write_text(json.dumps({"edition": edition}) + "\n")
        temporary.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.replace(folder)
    except OSError as error:
        raise PatchkitError(
            f"cannot write {folder}: {error.strerror or error}", "free some room, or set PATCHKIT_HOME"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
