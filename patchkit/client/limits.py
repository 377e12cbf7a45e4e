"""What a client asks of a server at most: how much at once, how often, for how long, and how often again."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from patchkit.errors import PatchkitError


@dataclass(frozen=True)
class Limits:
    """A client's limits.

    Attributes:
        concurrency: requests in flight at once, of those that patchkit makes side by side.
        timeout: seconds for one request, until its whole answer is there.
        retries: how often a request is sent again that failed in passing: no connection, a timeout, the statuses 408,
            409, 429, or 500 and above.
        per_minute: requests begun in a minute, repeated ones included; None for any number.

    Raises:
        PatchkitError: one of them is out of its range.
    """

    concurrency: int = 32
    timeout: float = 600.0
    retries: int = 5
    per_minute: int | None = None

    def __post_init__(self) -> None:
        for name, value, least in (
            ("concurrency", self.concurrency, 1),
            ("retries", self.retries, 0),
            ("per_minute", 1 if self.per_minute is None else self.per_minute, 1),
        ):
            if value < least:
                raise PatchkitError(f"{name} is {value}", f"give at least {least}")
        if not 0 < self.timeout < float("inf"):
            raise PatchkitError(f"timeout is {self.timeout:g} seconds", "give a number above 0, and no infinite one")


class Pace:
    """Spaces requests evenly, so that no more than so many begin in a minute; serves many threads."""

    def __init__(self, per_minute: int | None) -> None:
        self._between = 60.0 / per_minute if per_minute else 0.0
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self) -> None:
        """Return when the next request may begin."""
        if not self._between:
            return
        with self._lock:
            begins = max(self._next, time.monotonic())
            self._next = begins + self._between
        time.sleep(max(0.0, begins - time.monotonic()))
