"""What the terminal shows: results on stdout, progress and complaints on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


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
