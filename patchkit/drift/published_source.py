"""The Python files of a release in the package index, from its remote wheel or its source archive; cached."""

from __future__ import annotations

import tarfile
import threading
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

from filelock import FileLock
from remotezip import RemoteZipError

from patchkit import console
from patchkit.drift.http_client import HttpClient, NoPartsError, UnreachableError, client_for
from patchkit.drift.index import Release
from patchkit.drift.remote_wheel import RemoteParts, spans_of
from patchkit.drift.source_cache import Entry, SourceCache, entry_of
from patchkit.drift.whole_distribution import PYTHON_FILE, HashedStream, in_archive, in_wheel, is_archive
from patchkit.errors import PatchkitError
from patchkit.packages import local, settings

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


class PublishedSource:
    """A release in the package index: a :class:`patchkit.drift.source.Source`, which threads may share."""

    published = True

    def __init__(self, release: Release, client: HttpClient | None = None) -> None:
        """Nothing is fetched yet.

        Args:
            client: for tests; else one with the user's settings, which all releases share.

        Raises:
            PatchkitError: none of its files is a wheel or a source archive.
        """
        self.release = release.text
        self._file = release.files[0]
        if not (self._file.wheel or is_archive(self._file)):
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
                self._parts.fetch_ahead(spans_of(opened, paths))
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

    def _connected(self) -> HttpClient:
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
        for path, content in in_wheel(stream, self._cache.folder) if self._file.wheel else in_archive(stream):
            self._cache.put(path, content)
            entries[path] = entry_of(content)
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
