"""How far a draw is, and how long it may still take."""

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


class Watching:
    """Tells of one draw on stderr: a line that changes on a terminal, a line now and then elsewhere."""

    def __init__(self, name: str, max_tokens: int, status: Status | None) -> None:
        self._name, self._max_tokens, self._status = name, max_tokens, status
        self._spoke = time.monotonic()

    def show(self, journal: Journal, drawings: Sequence[Drawing]) -> None:
        """Say it, unless it was said a moment ago."""
        line = f"{self._name}  {self._said(journal, drawings)}"
        if self._status is not None:
            self._status.update(escape(line))
        elif time.monotonic() - self._spoke >= EVERY:
            self._spoke = time.monotonic()
            err.print(escape(line), style="dim")

    def _said(self, journal: Journal, drawings: Sequence[Drawing]) -> str:
        total = len(journal.problems) * journal.plan.n
        told = f"{len(journal.samples)}/{total} samples"
        running = [drawing.progress for drawing in drawings if drawing.progress and not drawing.exit]
        if any(not drawing.loaded and not drawing.exit for drawing in drawings):
            return f"{told}, loading the model"
        rate = sum(one.tokens / one.seconds for one in running if one.seconds)
        if not rate:
            return f"{told}, {len(journal.grades)} graded"
        unfinished = sum(one.unfinished for one in running)
        return f"{told}, {rate:,.0f} tokens/s, at most {duration(unfinished * self._max_tokens / rate)} left"


def duration(seconds: float) -> str:
    """``40 s``, ``12 min``, ``2 h 5 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def watching(name: str, max_tokens: int) -> Iterator[Watching]:
    """Watch a draw; how long it took stays on the screen."""
    began = time.monotonic()
    if err.is_terminal:
        with err.status(escape(name)) as status:
            yield Watching(name, max_tokens, status)
    else:
        err.print(escape(f"{name} …"))
        yield Watching(name, max_tokens, None)
    err.print(escape(f"{name}: {duration(time.monotonic() - began)}"), style="dim")
