"""Files written whole or not at all, and read back as records."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TypeVar

import msgspec

from patchkit.errors import PatchkitError

UMASK = os.umask(0)
os.umask(UMASK)

Record = TypeVar("Record", bound=msgspec.Struct)


def check_place(path: Path) -> None:
    """Refuse a path that could not be written, before minutes of work are done for it."""
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


def read_as(kind: type[Record], path: Path, what: str) -> Record:
    """A JSON file as a record; one that is none is one line, which says ``what`` it is not."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise PatchkitError(f"cannot read {path}: {error.strerror or error}") from None
    except RecursionError:
        raise PatchkitError(f"{path} is not {what}: it is nested without end") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PatchkitError(f"{path} is not {what}: {error}") from None


def shortest(path: Path) -> str:
    """A path as short as it can be said from here."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _refused(path: Path, error: OSError) -> PatchkitError:
    return PatchkitError(f"cannot write {path}: {error.strerror or error}", "free some room or choose another folder")
