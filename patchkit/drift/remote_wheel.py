"""A wheel on a server, read in parts: its list of files, then what is asked for."""

from __future__ import annotations

import io
import zipfile
from bisect import bisect_right
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from remotezip import PartialBuffer, RemoteFetcher, RemoteZip

from patchkit.drift.http_client import HttpClient, UnreachableError
from patchkit.files import read_checked, write_checked
from patchkit.packages import host

TAIL = 1 << 20
"""Bytes read first: the list of files of a vLLM wheel takes up to 0.7 MB at its end."""
GAP = 1 << 17
"""Largest gap in bytes between two files that is read through instead of skipped with another request."""
AT_ONCE = 4
"""Parts of one wheel fetched at once."""


class RemoteParts(RemoteFetcher):  # type: ignore[misc]  # remotezip has no annotations
    """Parts of a remote file by ranges; its end is cached in a file, and what was fetched ahead is held in memory."""

    def __init__(self, url: str, client: HttpClient, end: Path, from_end: bool) -> None:
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
            write_checked(self._end, f"{start + needed}\n".encode() + content[needed:])
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


def spans_of(opened: zipfile.ZipFile, paths: Collection[str]) -> list[tuple[int, int]]:
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
