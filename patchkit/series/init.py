"""A new runtime, copied from ``template/``; its gates are green before anything of it is changed."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from patchkit.errors import PatchkitError
from patchkit.project import is_project
from patchkit.series.pin import tree_hash, upstream_blobs

TEMPLATE = Path(__file__).parent / "template"
NAME = "[a-z][a-z0-9]*([_-][a-z0-9]+)*"
TAKEN = {*sys.stdlib_module_names, "patchkit", "torch", "vllm"}
"""Packages that the runtime's own would hide, in the process that runs vLLM."""


def find_patches(start: Path) -> Path:
    """The folder ``patches`` of the project at or above ``start``; an empty one of ``start`` itself will do.

    Raises:
        PatchkitError: there is none. patchkit's own is not meant, wherever it is run from.
    """
    for folder in (start, *start.parents):
        if is_project(folder) or (folder == start and (folder / "patches").is_dir()):
            return folder / "patches"
    raise PatchkitError(f"{start} is in no project: it has no folder `patches`", "make one with `mkdir patches`")


def new_runtime(patches: Path, name: str, release: str) -> Path:
    """Copy the template to ``patches/<name>``, whole or not at all; returns that folder.

    Raises:
        PatchkitError: the name does not suit or is taken, or the folder cannot be written.
    """
    package = name.replace("-", "_")
    if not re.fullmatch(NAME, name, re.ASCII):
        raise PatchkitError(f"`{name}` is no name for a runtime", "use a-z, 0-9, - and _, and begin with a letter")
    if package in TAKEN:
        raise PatchkitError(f"a runtime `{name}` would hide the Python package {package}", "choose another name")
    folder = patches / name
    if folder.exists() or folder.is_symlink():
        raise PatchkitError(f"{folder} is there already", "choose another name, or delete it")
    try:
        with tempfile.TemporaryDirectory(dir=patches, prefix=".init-") as made:
            half = Path(made) / name
            fill(half, {"NAME": name, "PACKAGE": package, "RELEASE": release})
            half.rename(folder)
    except OSError as error:
        raise PatchkitError(
            f"cannot write {folder}: {error.strerror or error}", "check free space and permissions"
        ) from error
    return folder


def fill(folder: Path, words: dict[str, str]) -> None:
    """Copy the template to ``folder`` with ``words`` in place of their names, in paths and texts, and with its hash."""
    for source in sorted(TEMPLATE.rglob("*")):
        if source.is_file() and "__pycache__" not in source.parts:
            path = folder / replaced(source.relative_to(TEMPLATE).as_posix(), words)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(replaced(source.read_text(encoding="utf-8"), words), encoding="utf-8")
    manifest = folder / "runtime.yaml"
    pin = tree_hash(upstream_blobs(folder / "upstream"))
    manifest.write_text(replaced(manifest.read_text(encoding="utf-8"), {"TREE": pin}), encoding="utf-8")


def replaced(text: str, words: dict[str, str]) -> str:
    """``text`` with each of the words that stands by itself replaced."""
    return re.sub(rf"\b({'|'.join(words)})\b", lambda found: words[found[0]], text)
