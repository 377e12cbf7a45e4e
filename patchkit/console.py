"""What the terminal shows: results on stdout, progress and complaints on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.text import Text

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def detail(text: str) -> None:
    """A line of less weight on stderr, as it is."""
    err.print(text, style="dim", markup=False)


def indented(text: str) -> None:
    """A line of less weight on stderr, below what it belongs to."""
    detail(f"  {text}")


def tick(passed: bool) -> Text:
    """The mark before a line that is good or bad."""
    return Text("✓ ", "green") if passed else Text("✗ ", "red")


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show that ``what`` is under way, and how long it took; a spinner on a TTY, plain lines elsewhere."""
    began = time.monotonic()
    what = escape(what)  # a path in it may have brackets
    if sys.stderr.isatty():
        with err.status(what):
            yield
    else:
        err.print(f"{what} …")
        yield
    err.print(f"[dim]{what}: {time.monotonic() - began:.1f} s[/dim]")


class ProgressLine:
    """How far something is, in one line that changes, on a terminal's stderr; nothing elsewhere, or if ``quiet``.

    Args:
        text: returns what the line says now; called several times a second, from another thread.
    """

    def __init__(self, text: Callable[[], str], quiet: bool = False) -> None:
        self._text = text
        self._status = err.status(self) if err.is_terminal and not quiet else None

    def __rich__(self) -> Text:
        return Text(self._text())

    def __enter__(self) -> ProgressLine:
        if self._status:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status:
            self._status.stop()

    def note(self, text: str) -> None:
        """A step on stderr, where no line that changes shows it."""
        if not err.is_terminal:
            err.print(text, markup=False)

    def print(self, text: str) -> None:
        """A result on stdout; the status line is removed meanwhile, or the result would be appended to it."""
        self.__exit__(None, None, None)
        out.print(text)
        self.__enter__()
