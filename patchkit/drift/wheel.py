"""The Python files of a release, read from its remote wheel by ranges or from its source archive; cached by content."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import tarfile
import tempfile
import threading
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import msgspec
from filelock import FileLock
from msgspec import Struct
from remotezip import PartialBuffer, RemoteFetcher, RemoteZip, RemoteZipError

from patchkit import console
from patchkit.drift.http_client import Client, NoPartsError, UnreachableError, client_for
from patchkit.drift.index import File, Release
from patchkit.errors import PatchkitError
from patchkit.files import read_cached_as, read_checked, write_atomically, write_checked
from patchkit.packages import host, local, settings
from patchkit.project import cache_home

PYTHON_FILE = re.compile(r"(?!.*/\.\.?/)vllm/[^\\\0\r\n]+\.py")
TAIL = 1 << 20
"""Bytes read first: the list of files of a vLLM wheel takes up to 0.7 MB at its end."""
GAP = 1 << 17
"""Largest gap in bytes between two files that is read through instead of skipped with another request."""


WORTH_REPORTING = 20_000_000
"""Bytes of a download from which on its progress is shown."""
AT_ONCE = 4
"""Parts of one wheel fetched at once."""
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    tarfile.TarError,
    EOFError,
    RemoteZipError,
    KeyError,
    NotImplementedError,
)
"""What reading a damaged distribution raises."""


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
        return content if entry == _entry(content) else None

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


def _entry(content: bytes) -> Entry:
    return Entry(zlib.crc32(content), len(content))


class PublishedSource:
    """A release in the package index: a :class:`patchkit.drift.source.Source`, which threads may share."""

    published = True

    def __init__(self, release: Release, client: Client | None = None) -> None:
        """Nothing is fetched yet.

        Args:
            client: for tests; else one with the user's settings, which all releases share.

        Raises:
            PatchkitError: none of its files is a wheel or a source archive.
        """
        self.release = release.text
        self._file = release.files[0]
        if not (self._file.wheel or _archive(self._file)):
            raise PatchkitError(
                f"vLLM {release.text} has neither a wheel nor a source archive", "choose another release"
            )
        foreign = "" if self._file.akin or not self._file.wheel else " (a wheel for another platform)"
        self.origin = f"{self._file.filename}{foreign}"
        self.digest = self._file.sha256 or ""
        """Of the distribution, by the index; empty if the index does not say."""
        self._client = client
        self._cache = SourceCache(self._file)
        self._lock = threading.RLock()
        self._entries: dict[str, Entry] | None = None
        self._zip: zipfile.ZipFile | None = None
        self._parts: RemoteParts | None = None

    def paths(self) -> Collection[str]:
        return self._listed().keys()

    def read(self, path: str) -> str | None:
        """See :class:`patchkit.drift.source.Source`.

        Raises:
            PatchkitError: it is not cached, and the index cannot be reached.
        """
        entry = self._listed().get(path)
        if entry is None:
            return None
        content = self._cache.get(path, entry)
        if content is None:
            content = self._fetch([path])[path]
        return content.decode("utf-8", errors="replace")

    def prefetch(self, paths: Iterable[str]) -> None:
        """See :class:`patchkit.drift.source.Prefetched`: neighbours in the wheel come with one request.

        Raises:
            PatchkitError: the index cannot be reached.
        """
        entries = self._listed()
        wanted = [path for path in dict.fromkeys(paths) if path in entries]
        missing = [path for path in wanted if self._cache.get(path, entries[path]) is None]
        if missing:
            self._fetch(missing)
        self.close()

    def close(self) -> None:
        """Release what only further reads need; a further read opens it again."""
        with self._lock:
            if self._zip is not None:
                self._zip.close()
            self._zip = self._parts = None

    def _listed(self) -> dict[str, Entry]:
        with self._lock:
            if self._entries is None:
                self._entries = self._cache.entries()
            if self._entries is None:
                with self._explained():
                    self._entries = self._list()
            return self._entries

    def _list(self) -> dict[str, Entry]:
        """The list of files from the wheel's end; of an archive, all its files with it."""
        opened = self._opened()
        if opened is None:
            return self._fetch_all()
        entries = {
            info.filename: Entry(info.CRC, info.file_size)
            for info in opened.infolist()
            if PYTHON_FILE.fullmatch(info.filename)
        }
        self._cache.put_entries(entries)
        return entries

    def _fetch(self, paths: Collection[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        with self._lock, self._explained():
            opened = self._opened()
            if opened is None:
                self._entries = self._fetch_all(paths)
                for path in paths:
                    found[path] = self._cache.get(path, self._entries[path]) or b""
                return found
            if self._parts is not None:
                self._parts.fetch_ahead(_spans(opened, paths))
            for path in paths:
                found[path] = opened.read(path)
                self._cache.put(path, found[path])
            if self._parts is not None:
                self._parts.forget()
        return found

    def _opened(self) -> zipfile.ZipFile | None:
        """The wheel, open for reading; None for an archive, and for a wheel whose server sends no parts."""
        if self._zip is not None or not self._file.wheel:
            return self._zip
        where = local(self._file.url)
        if where is not None:
            self._zip = zipfile.ZipFile(where)
            return self._zip
        for from_end in (True, False):
            parts = RemoteParts(self._file.url, self._connected(), self._cache.folder / "end", from_end)
            try:
                self._zip, self._parts = parts.open(), parts
                return self._zip
            except NoPartsError:
                continue
        return None

    def _connected(self) -> Client:
        if self._client is None:
            self._client = client_for(settings())
        return self._client

    def _fetch_all(self, wanted: Collection[str] = ()) -> dict[str, Entry]:
        """Get every Python file, reading the distribution from end to end, unless another process just did."""
        self._cache.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._cache.folder / ".lock"):
            entries = self._cache.entries()
            if entries is not None and all(self._cache.get(path, entries[path]) is not None for path in wanted):
                return entries
            why = "its server sends no parts" if self._file.wheel else "there is no wheel for this platform"
            console.detail(f"reading all of {self._file.filename}, for {why} …")
            entries = self._connected().whole(self._file.url, self._unpack)
            self._cache.put_entries(entries)
            return entries

    def _unpack(self, chunks: Iterator[bytes], size: int | None) -> dict[str, Entry]:
        """Cache every Python file of the distribution in ``chunks``, and check its hash against the index."""
        stream = HashedStream(chunks, self._file.filename, size)
        entries: dict[str, Entry] = {}
        for path, content in _in_wheel(stream, self._cache.folder) if self._file.wheel else _in_archive(stream):
            self._cache.put(path, content)
            entries[path] = _entry(content)
        stream.drain()
        if self._file.sha256 and stream.digest.hexdigest() != self._file.sha256:
            raise zipfile.BadZipFile("its hash is not the one that the index lists")
        return entries

    @contextmanager
    def _explained(self) -> Iterator[None]:
        what = f"cannot read vLLM {self.release} ({self._file.filename})"
        try:
            yield
        except UnreachableError as error:
            raise PatchkitError(
                f"{what}: {error}", "check the network and run it again: what was read is cached"
            ) from error
        except OSError as error:
            raise PatchkitError(f"{what}: {error.strerror or error}", "fix that and run it again") from error
        except DAMAGE as error:
            raise PatchkitError(
                f"{what}: it is damaged, or came so: {error}", "run it again, or get it from another index"
            ) from error


class RemoteParts(RemoteFetcher):  # type: ignore[misc]  # remotezip has no annotations
    """Parts of a remote file by ranges; its end is cached in a file, and what was fetched ahead is held in memory."""

    def __init__(self, url: str, client: Client, end: Path, from_end: bool) -> None:
        """Nothing is fetched yet.

        Args:
            from_end: whether to ask for "the last bytes"; some servers know only "from, to".
        """
        super().__init__(url, support_suffix_range=from_end)
        self._client, self._end = client, end
        self._blocks: list[tuple[int, bytes]] = []

    def open(self) -> zipfile.ZipFile:
        """The remote zip.

        Raises:
            NoPartsError: the server sends no such parts.
            UnreachableError: it does not answer.
        """
        cached = self._cached_end()
        if cached is not None:
            self._blocks.append(cached)
        opened: zipfile.ZipFile = RemoteZip(self._url, TAIL, fetcher=lambda *_, **__: self)
        if cached is None and self._blocks:
            start, content = self._blocks[0]
            needed = max(opened.start_dir - start, 0)
            self._cache_end(start + needed, content[needed:])
        return opened

    def fetch_ahead(self, spans: Iterable[tuple[int, int]]) -> None:
        """Get parts, each from its first byte to before its last, several at once, and hold them."""
        missing = [span for span in spans if self._held(*span) is None]
        if len(missing) == 1:
            self._blocks.append((missing[0][0], self._part(missing[0])))
            return
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for (start, _), content in zip(missing, pool.map(self._part, missing), strict=True):
                self._blocks.append((start, content))

    def forget(self) -> None:
        self._blocks.clear()

    def fetch(self, data_range: tuple[int, int | None], stream: bool = False) -> PartialBuffer:
        first, last = data_range
        if first < 0:
            start, content = self._last_bytes(-first)
            return PartialBuffer(io.BytesIO(content), start, len(content), False)
        assert last is not None
        held = self._held(first, last + 1)
        content = held if held is not None else self._part((first, last + 1))
        return PartialBuffer(io.BytesIO(content), first, len(content), False)

    def _last_bytes(self, count: int) -> tuple[int, bytes]:
        if self._blocks:
            return self._blocks[0]
        if self._support_suffix_range:
            content, start = self._client.part(self._url, f"bytes=-{count}")
        else:
            size = self._client.size(self._url)
            content, start = self._client.part(self._url, f"bytes={max(0, size - count)}-{size - 1}")
        self._blocks.append((start, content))
        return start, content

    def _part(self, span: tuple[int, int]) -> bytes:
        content, start = self._client.part(self._url, f"bytes={span[0]}-{span[1] - 1}")
        if start != span[0] or len(content) != span[1] - span[0]:
            raise UnreachableError(f"{host(self._url)} sends other parts than it is asked for")
        return content

    def _held(self, first: int, end: int) -> bytes | None:
        for start, content in self._blocks:
            if start <= first and end <= start + len(content):
                return content[first - start : end - start]
        return None

    def _cached_end(self) -> tuple[int, bytes] | None:
        """Where the end begins, and the end; None if it is not cached whole."""
        checked = read_checked(self._end)
        if checked is None:
            return None
        start, _, content = checked.partition(b"\n")
        return int(start), content

    def _cache_end(self, start: int, content: bytes) -> None:
        write_checked(self._end, str(start).encode() + b"\n" + content)


def _spans(opened: zipfile.ZipFile, paths: Collection[str]) -> list[tuple[int, int]]:
    """Byte ranges of files in a wheel; ranges that are near each other are merged."""
    starts = sorted([*(info.header_offset for info in opened.infolist()), opened.start_dir])
    spans: list[tuple[int, int]] = []
    for start in sorted(opened.getinfo(path).header_offset for path in paths):
        end = starts[bisect_right(starts, start)]
        if spans and start - spans[-1][1] <= GAP:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


class HashedStream(io.RawIOBase):
    """A stream of what comes in chunks, hashed on the way; progress is printed to stderr at each quarter."""

    def __init__(self, chunks: Iterator[bytes], name: str, size: int | None) -> None:
        self._chunks, self._name, self._size = chunks, name, size
        self._rest = b""
        self._count, self._said = 0, 0
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = next(self._chunks, b"")
            self.digest.update(self._rest)
            self._report(len(self._rest))
        taken, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def _report(self, count: int) -> None:
        self._count += count
        if self._size is not None and self._size > WORTH_REPORTING and 4 * self._count >= (self._said + 1) * self._size:
            self._said = 4 * self._count // self._size
            console.detail(f"{self._name}: {self._count / 1e6:.0f} of {self._size / 1e6:.0f} MB")

    def drain(self) -> None:
        while self.read(1 << 20):
            pass


def _in_wheel(stream: HashedStream, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Python files of a wheel, which is stored in ``folder`` meanwhile: reading it needs random access."""
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            shutil.copyfileobj(stream, file, 1 << 20)
        except OSError as error:
            raise PatchkitError(f"cannot write to {folder}: {error.strerror or error}", "free some room") from error
        with zipfile.ZipFile(file) as opened:
            for path in opened.namelist():
                if PYTHON_FILE.fullmatch(path):
                    yield path, opened.read(path)


def _in_archive(stream: HashedStream) -> Iterator[tuple[str, bytes]]:
    """Python files of a source archive in order, paths without its top folder."""
    with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|*") as archive:
        for member in archive:
            path = member.name.removeprefix("./").partition("/")[2]
            if member.isreg() and PYTHON_FILE.fullmatch(path):
                file = archive.extractfile(member)
                assert file is not None
                yield path, file.read()


def _archive(file: File) -> bool:
    return ".tar" in file.filename or file.filename.endswith(".tgz")
