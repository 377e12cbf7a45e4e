"""Hashes that distinguish a model, a grader or a folder from another of the same name."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from patchkit import evals
from patchkit.evals.grader_pool import find_grader

SMALL = 1024 * 1024  # bytes: of larger files only the size is hashed


def digest(place: Path) -> str:
    """Of a file or a folder: names, sizes and the content of small files, without caches and hidden files."""
    hashed = hashlib.sha256()
    for file, name in files_of(place):
        size = file.stat().st_size
        hashed.update(f"{name} {size}\n".encode())
        hashed.update(file.read_bytes() if size < SMALL else b"")
    return hashed.hexdigest()


def model_digest(folder: Path) -> str:
    """Of a model's folder on this host, with the times of its large files; "" for an id on the hub."""
    if not folder.is_dir():
        return ""
    times = [file.stat().st_mtime_ns for file, _ in files_of(folder) if file.stat().st_size >= SMALL]
    return hashlib.sha256(f"{digest(folder)} {times}".encode()).hexdigest()[:12]


def grader_digest(name: str) -> str:
    """Of a grader: its name, and the source it comes from, which for ours is all of ``patchkit.evals``."""
    module = find_grader(name).__module__
    found = importlib.util.find_spec(module)
    source = Path(found.origin) if found and found.origin else None
    if module.startswith(f"{evals.__name__}."):
        source = Path(evals.__file__).parent
    hashed = digest(source) if source and source.exists() else ""
    return hashlib.sha256(f"{name} {hashed}".encode()).hexdigest()[:12]


def files_of(place: Path) -> Iterator[tuple[Path, Path]]:
    """Files below a folder in a fixed order, each with its name there; or the one file that it is."""
    for file in [place] if place.is_file() else sorted(place.rglob("*")):
        name = file.relative_to(place)
        if file.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in name.parts):
            yield file, name
