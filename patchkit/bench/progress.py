"""The progress of a draw, and how long it may still take."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.markup import escape
from rich.status import Status

from patchkit.bench.journal import Journal
from patchkit.bench.shards import Drawing
from patchkit.console import err

EVERY = 20.0  # seconds between plain lines


class ProgressDisplay:
    """Shows one draw on stderr: a line that changes on a terminal, elsewhere a line every ``EVERY`` seconds."""

    def __init__(self, name: str, max_tokens: int, status: Status | None) -> None:
        self._name, self._max_tokens, self._status = name, max_tokens, status
        self._printed = time.monotonic()

    def show(self, journal: Journal, drawings: Sequence[Drawing]) -> None:
        """Show it; where lines are printed, at most one every ``EVERY`` seconds."""
        line = f"{self._name}  {self._line(journal, drawings)}"
        if self._status is not None:
            self._status.update(escape(line))
        elif time.monotonic() - self._printed >= EVERY:
            self._printed = time.monotonic()
            err.print(escape(line), style="dim")

    def _line(self, journal: Journal, drawings: Sequence[Drawing]) -> str:
        total = len(journal.problems) * journal.plan.n
        count = f"{len(journal.samples)}/{total} samples"
        running = [drawing.progress for drawing in drawings if drawing.progress and not drawing.exit]
        if any(not drawing.loaded and not drawing.exit for drawing in drawings):
            return f"{count}, loading the model"
        rate = sum(one.tokens / one.seconds for one in running if one.seconds)
        if not rate:
            return f"{count}, {len(journal.grades)} graded"
        unfinished = sum(one.unfinished for one in running)
        return f"{count}, {rate:,.0f} tokens/s, at most {duration(unfinished * self._max_tokens / rate)} left"


def duration(seconds: float) -> str:
    """``40 s``, ``12 min``, ``2 h 5 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def show_progress(name: str, max_tokens: int) -> Iterator[ProgressDisplay]:
    """Show the progress of a draw, and at its end how long it took."""
    began = time.monotonic()
    if err.is_terminal:
        with err.status(escape(name)) as status:
            yield ProgressDisplay(name, max_tokens, status)
    else:
        err.print(escape(f"{name} …"))
        yield ProgressDisplay(name, max_tokens, None)
    err.print(escape(f"{name}: {duration(time.monotonic() - began)}"), style="dim")
