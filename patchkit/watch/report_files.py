"""The report on disk: unfinished from the first moment on, green only as the last thing that is written."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from patchkit.console import detail, err
from patchkit.errors import PatchkitError
from patchkit.files import write_atomically
from patchkit.watch.report import to_json
from patchkit.watch.tick import Tick

DIGEST = "<!-- patchkit digest:"
"""Stands before the digest in a report, which shows whether there is something new to report."""
ENDING = ("SIGINT", "SIGTERM", "SIGHUP")


class Interrupted(SystemExit):
    """A signal ended the tick; the exit code is the one that shells give it."""


class ReportFiles:
    """Writes ``report.json`` and ``report.md`` of a tick into a folder, always up to date."""

    def __init__(self, folder: Path, tick: Tick, render: Callable[[Tick], str], known: Path | None = None) -> None:
        """Deletes the files of an earlier tick, so that they are never taken for this one's.

        Args:
            render: makes the report for people.
            known: a file with the last published report, such as an issue's text; default: the one in the folder.

        Raises:
            PatchkitError: the folder cannot be written.
        """
        self.folder, self._tick, self._render, self._began = folder, tick, render, time.monotonic()
        self._known = known_digest(known or self.markdown)
        for file in (self.json, self.markdown):
            remove(file)
        self.save()

    @property
    def json(self) -> Path:
        return self.folder / "report.json"

    @property
    def markdown(self) -> Path:
        return self.folder / "report.md"

    @property
    def changed(self) -> bool:
        return self._known != self._tick.digest

    def doing(self, what: str) -> None:
        """Say what comes next, here and in the report."""
        detail(f"{what} …")
        self._tick.doing = what
        self.save()

    def save(self) -> None:
        """Both files; the one that decides comes last."""
        self._tick.seconds = round(time.monotonic() - self._began, 1)
        write_atomically(self.markdown, self._render(self._tick))
        write_atomically(self.json, to_json(self._tick.report()))

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Whatever ends the tick early, the report says so."""
        with self._signals():
            try:
                yield
            except BaseException as error:
                if not isinstance(error, Interrupted):
                    self._tick.break_off(_reason(error))
                self.save()
                raise
        self.save()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {name: signal.signal(getattr(signal, name), self._end) for name in ENDING}
        try:
            yield
        finally:
            for name, handler in before.items():
                signal.signal(getattr(signal, name), handler)

    def _end(self, number: int, _: FrameType | None) -> None:
        """Write the report before any clean-up, which may take longer than the sender waits."""
        self._tick.break_off(f"it was ended by {signal.Signals(number).name}")
        self.save()
        err.print(f"patchkit: {self._tick.verdict}", markup=False)
        raise Interrupted(128 + number)


def known_digest(file: Path) -> str | None:
    """The digest in a published report; None if there is none."""
    try:
        found = re.search(rf"{DIGEST} ([0-9a-f]+)", file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return found[1] if found else None


def remove(file: Path) -> None:
    """Delete a file of an earlier tick.

    Raises:
        PatchkitError: it cannot be deleted.
    """
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise PatchkitError(f"cannot delete {file}: {error.strerror or error}", "choose another --out") from error


def _reason(error: BaseException) -> str:
    if isinstance(error, PatchkitError):
        return error.what
    said = f": {error}" if str(error) else ""
    return f"it broke ({type(error).__name__}{said})"
