"""Files written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from patchkit.errors import PatchkitError

UMASK = os.umask(0)
os.umask(UMASK)


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


def _refused(path: Path, error: OSError) -> PatchkitError:
    return PatchkitError(f"cannot write {path}: {error.strerror or error}", "free some room or choose another folder")
