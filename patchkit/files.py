"""Files written whole or not at all, and read back as records."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from patchkit.errors import PatchkitError

UMASK = os.umask(0)
os.umask(UMASK)

Record = TypeVar("Record", bound=msgspec.Struct)


def check_place(path: Path) -> None:
    """Refuse a path that cannot be written, before minutes of work."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise _refused(path, error) from error


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write ``content`` to ``path``, a text as UTF-8, through a temporary file beside it.

    An interruption leaves the old content.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            file.write(content.encode() if isinstance(content, str) else content)
        Path(temporary).chmod(0o666 & ~UMASK)
        Path(temporary).replace(path)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def write_checked(path: Path, content: bytes) -> None:
    """Write a cache file: the SHA-256 of the content in the first line, then the content; see :func:`read_checked`."""
    write_atomically(path, hashlib.sha256(content).hexdigest().encode() + b"\n" + content)


def read_checked(path: Path) -> bytes | None:
    """The content of a file by :func:`write_checked`; None if it is missing or damaged."""
    try:
        digest, _, content = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    return content if digest == hashlib.sha256(content).hexdigest().encode() else None


def read_cached_as(kind: type[Any], path: Path) -> Any:
    """A cache file by :func:`write_checked` as ``kind``, of JSON; None if it is missing, damaged or something else."""
    try:
        content = read_checked(path)
        return None if content is None else msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError:
        return None


def read_as(kind: type[Record], path: Path, what: str) -> Record:
    """A JSON file as a record; an invalid one is a one-line error that says ``what`` was expected."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise PatchkitError(f"cannot read {path}: {error.strerror or error}") from None
    except RecursionError:
        raise PatchkitError(f"{path} is not {what}: it is nested without end") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PatchkitError(f"{path} is not {what}: {error}") from None


def shortest(path: Path) -> str:
    """The path relative to the current folder if it is below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _refused(path: Path, error: OSError) -> PatchkitError:
    return PatchkitError(f"cannot write {path}: {error.strerror or error}", "free some room or choose another folder")
