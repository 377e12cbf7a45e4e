"""The cache of the Python files of releases, by the content of their distributions."""

from __future__ import annotations

import hashlib
import zlib

import msgspec
from msgspec import Struct

from patchkit.drift.index import File
from patchkit.files import read_cached_as, write_atomically, write_checked
from patchkit.packages import local
from patchkit.project import cache_home


class Entry(Struct, frozen=True, array_like=True):
    """The expected content of a cached file: its CRC-32, and its size in bytes."""

    crc: int
    size: int


class SourceCache:
    """The cached files of one distribution; damaged ones are ignored, and files are written atomically.

    ``files.json`` lists them all; those that were read are beside it. Safe for threads and processes.
    """

    def __init__(self, file: File) -> None:
        self.folder = cache_home() / "sources" / _key(file)
        self._list = self.folder / "files.json"

    def entries(self) -> dict[str, Entry] | None:
        """Path → entry of every Python file; None if the list is not cached."""
        found: dict[str, Entry] | None = read_cached_as(dict[str, Entry], self._list)
        return found

    def put_entries(self, entries: dict[str, Entry]) -> None:
        write_checked(self._list, msgspec.json.encode(entries))

    def get(self, path: str, entry: Entry) -> bytes | None:
        """The content of a file; None if it is not cached, or damaged."""
        try:
            content = (self.folder / path).read_bytes()
        except OSError:
            return None
        return content if entry == entry_of(content) else None

    def put(self, path: str, content: bytes) -> None:
        write_atomically(self.folder / path, content)


def _key(file: File) -> str:
    """The cache key: the hash in the index; else one of the address, and of the size and time of a local file."""
    if file.sha256:
        return file.sha256
    where, state = local(file.url), ""
    if where is not None and where.is_file():
        facts = where.stat()
        state = f" {facts.st_size} {facts.st_mtime_ns}"
    return hashlib.sha256((file.url + state).encode()).hexdigest()


def entry_of(content: bytes) -> Entry:
    return Entry(zlib.crc32(content), len(content))
