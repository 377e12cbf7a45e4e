"""What was read of a runtime's code against one published vLLM, kept: the same files read again say the same.

The key holds everything that the reading depends on: what the runtime's files are made of, what the manifest says of
types, the hash of vLLM's distribution by the index, and the reader itself. A source that may change, such as a
checkout, is not kept.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from patchkit.drift.source import Source
from patchkit.drift.touches import CodeRead
from patchkit.errors import PatchkitError
from patchkit.files import write_atomically
from patchkit.project import cache_home

MOST = 200
"""Readings that are kept; when there are more, the oldest half goes. One of a large runtime is 30 KB."""


def read_or_kept(made: Sequence[str], vllm: Source, types: Mapping[str, str], read: Callable[[], CodeRead]) -> CodeRead:
    """What ``read`` says, or said before of the same.

    Args:
        made: what the code is made of: its package, and the hashes of the pin and of the patches.
        vllm: what it is read against; without a ``digest`` nothing is kept.
    """
    digest = getattr(vllm, "digest", "")
    if not digest:
        return read()
    path = cache_home() / "code" / f"{_key(made, digest, types)}.json"
    found = _kept(path)
    if found is None:
        found = read()
        _keep(path, found)
    return found


def _key(made: Sequence[str], digest: str, types: Mapping[str, str]) -> str:
    return hashlib.sha256(msgspec.json.encode((_edition(), digest, list(made), sorted(types.items())))).hexdigest()


@functools.cache
def _edition() -> str:
    """Changes with the reader: with any of its files, and with the Python that parses."""
    files = sorted(Path(__file__).parent.rglob("*.py"))
    hashed = hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files))
    return f"{sys.version} {hashed.hexdigest()}"


def _kept(path: Path) -> CodeRead | None:
    """None if it is not there, or is damaged."""
    try:
        digest, _, content = path.read_bytes().partition(b"\n")
        if digest != hashlib.sha256(content).hexdigest().encode():
            return None
        return msgspec.json.decode(content, type=CodeRead)
    except (OSError, msgspec.DecodeError):
        return None


def _keep(path: Path, found: CodeRead) -> None:
    """Keep it where that is possible: a full disk is no reason to fail."""
    content = msgspec.json.encode(found)
    try:
        write_atomically(path, hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
        _sweep(path.parent)
    except (OSError, PatchkitError):
        return


def _sweep(folder: Path) -> None:
    files = list(folder.glob("*.json"))
    if len(files) > MOST:
        for old in sorted(files, key=lambda file: file.stat().st_mtime)[: MOST // 2]:
            old.unlink(missing_ok=True)
