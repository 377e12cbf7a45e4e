"""A wheel or a source archive that is read from end to end."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from patchkit import console
from patchkit.drift.index import File
from patchkit.errors import PatchkitError

PYTHON_FILE = re.compile(r"(?!.*/\.\.?/)vllm/[^\\\0\r\n]+\.py")
WORTH_REPORTING = 20_000_000
"""Bytes of a download from which on its progress is shown."""


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


def in_wheel(stream: HashedStream, folder: Path) -> Iterator[tuple[str, bytes]]:
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


def in_archive(stream: HashedStream) -> Iterator[tuple[str, bytes]]:
    """Python files of a source archive in order, paths without its top folder."""
    with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|*") as archive:
        for member in archive:
            path = member.name.removeprefix("./").partition("/")[2]
            if member.isreg() and PYTHON_FILE.fullmatch(path):
                file = archive.extractfile(member)
                assert file is not None
                yield path, file.read()


def is_archive(file: File) -> bool:
    return ".tar" in file.filename or file.filename.endswith(".tgz")
