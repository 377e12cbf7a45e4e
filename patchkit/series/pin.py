"""The pin: the git tree hash of the upstream's files on disk, with or without a repository around them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from patchkit.errors import PatchkitError

if TYPE_CHECKING:
    from patchkit.series.manifest import Manifest


class Blob(NamedTuple):
    """A file as git stores it."""

    mode: str
    hash: str


def upstream_files(folder: Path) -> Iterator[Path]:
    """Every file and link under ``folder`` that belongs to the upstream; what Python compiles does not.

    A ``.pyc`` outside ``__pycache__`` whose source is gone does: Python imports it.
    """
    for path in folder.iterdir():
        compiled = path.suffix == ".pyc" and path.with_suffix(".py").is_file()
        if path.name in (".git", "__pycache__") or compiled:
            continue
        if path.is_dir() and not path.is_symlink():
            yield from upstream_files(path)
        elif path.is_file() or path.is_symlink():
            yield path


def upstream_blobs(folder: Path) -> dict[str, Blob]:
    """Mode and hash of every upstream file, by its path relative to ``folder``.

    Raises:
        PatchkitError: the folder or a file in it cannot be read.
    """
    try:
        return {path.relative_to(folder).as_posix(): _blob(path) for path in upstream_files(folder)}
    except OSError as error:
        fix = "restore it with `git checkout`, or check its permissions"
        raise PatchkitError(
            f"cannot read the upstream in {folder}: {error.strerror} ({error.filename})", fix
        ) from error


def tree_hash(blobs: dict[str, Blob]) -> str:
    """What ``git write-tree`` says for these files (https://git-scm.com/book/en/v2/Git-Internals-Git-Objects)."""
    entries: dict[str, Blob] = {}
    folders: dict[str, dict[str, Blob]] = {}
    for path, blob in blobs.items():
        top, _, below = path.partition("/")
        if below:
            folders.setdefault(top, {})[below] = blob
        else:
            entries[top] = blob
    entries |= {f"{name}/": Blob("40000", tree_hash(below)) for name, below in folders.items()}
    ordered = sorted((os.fsencode(name), blob) for name, blob in entries.items())
    rows = [(blob.mode.encode(), name.rstrip(b"/"), bytes.fromhex(blob.hash)) for name, blob in ordered]
    return _hash("tree", b"".join(b"%s %s\0%s" % row for row in rows))


def check_pin(manifest: Manifest) -> str:
    """The pin of ``manifest``, which its embedded upstream matches; an upstream at a URL is pinned by its commit.

    Raises:
        PatchkitError: the upstream was edited; says the hashes, the files if known, and what to do.
    """
    if manifest.upstream.path is None:
        return manifest.pin
    blobs = upstream_blobs(manifest.upstream_folder)
    found = tree_hash(blobs)
    if found != manifest.pin:
        edited = edited_files(manifest.upstream_folder, manifest.pin, blobs)
        names = f" (edited: {', '.join(edited[:5])}{' …' if len(edited) > 5 else ''})" if edited else ""
        raise PatchkitError(
            f"{manifest.upstream_folder} is not the pinned upstream: expected tree {manifest.pin}, "
            f"found {found}{names}",
            f"restore it with `git checkout -- {manifest.upstream_folder}`, or, if the change is meant, put the found "
            "hash (`patchkit pin` prints it) into upstream.tree of runtime.yaml",
        )
    return found


def edited_files(folder: Path, pin: str, blobs: dict[str, Blob]) -> list[str]:
    """Files that differ from the pinned tree; none if there is no repository around that has it."""
    from git.cmd import Git
    from git.exc import GitCommandError

    try:
        listed = Git(folder).ls_tree("-r", "-z", "--full-tree", pin).rstrip("\0")
    except (GitCommandError, OSError):
        return []
    rows = (line.split(None, 3) for line in listed.split("\0") if line)
    pinned = {path: Blob(mode, hashed) for mode, _, hashed, path in rows}
    return sorted(path for path in blobs.keys() | pinned.keys() if blobs.get(path) != pinned.get(path))


def _blob(path: Path) -> Blob:
    if path.is_symlink():
        return Blob("120000", _hash("blob", os.fsencode(path.readlink())))
    return Blob("100755" if path.stat().st_mode & 0o100 else "100644", _hash("blob", path.read_bytes()))


def _hash(kind: str, content: bytes) -> str:
    return hashlib.sha1(b"%s %d\0%s" % (kind.encode(), len(content), content), usedforsecurity=False).hexdigest()
