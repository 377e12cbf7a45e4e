"""A cache of what was read of a runtime's code against one published vLLM release.

The key covers everything that the result depends on: the runtime's files, the types in the manifest, the hash of
vLLM's distribution in the index, and the reader itself. A source that may change, such as a checkout, is not cached.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from patchkit.drift.source import Source
from patchkit.drift.touch import CodeRead
from patchkit.errors import PatchkitError
from patchkit.files import read_cached_as, write_checked
from patchkit.project import cache_home

MOST = 200
"""Entries in the cache; beyond that the oldest half is deleted. An entry of a large runtime takes 30 KB."""


def read_cached(made: Sequence[str], vllm: Source, types: Mapping[str, str], read: Callable[[], CodeRead]) -> CodeRead:
    """Return the cached result of ``read`` for the same inputs; call it if there is none.

    Args:
        made: what the code is made of: its package, and the hashes of the pin and of the patches.
        vllm: what it is read against; without a ``digest`` nothing is cached.
    """
    digest = getattr(vllm, "digest", "")
    if not digest:
        return read()
    path = cache_home() / "code" / f"{_key(made, digest, types)}.json"
    found: CodeRead | None = read_cached_as(CodeRead, path)
    if found is None:
        found = read()
        _store(path, found)
    return found


def _key(made: Sequence[str], digest: str, types: Mapping[str, str]) -> str:
    return hashlib.sha256(
        msgspec.json.encode((_reader_version(), digest, list(made), sorted(types.items())))
    ).hexdigest()


@functools.cache
def _reader_version() -> str:
    """Changes with the reader: with any of its files, and with the Python that parses."""
    files = sorted(Path(__file__).parent.rglob("*.py"))
    hashed = hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files))
    return f"{sys.version} {hashed.hexdigest()}"


def _store(path: Path, found: CodeRead) -> None:
    """Write the entry if possible: a full disk is no reason to fail."""
    try:
        write_checked(path, msgspec.json.encode(found))
        _sweep(path.parent)
    except (OSError, PatchkitError):
        return


def _sweep(folder: Path) -> None:
    files = list(folder.glob("*.json"))
    if len(files) > MOST:
        for old in sorted(files, key=lambda file: file.stat().st_mtime)[: MOST // 2]:
            old.unlink(missing_ok=True)
