"""Engines that stay loaded and are measured in turn: one process each, of which one works at a time."""

from __future__ import annotations

from collections.abc import Mapping
from queue import Empty, SimpleQueue
from typing import Any

from patchkit.gates.events import Error, Exit, Loaded, Measured, RunEvent
from patchkit.gates.invariants.finished import death, error_line
from patchkit.gates.worker_client import WorkerClient

LIMIT = 1800.0  # seconds for a load or a run: compiling a large model takes longest


class EngineError(Exception):
    """An engine could not be loaded, or broke; the message is one line."""


class EngineEvents:
    """What an engine's process says, in order."""

    def __init__(self) -> None:
        self.trouble, self.seconds = "", 0.0
        self.events: SimpleQueue[RunEvent] = SimpleQueue()

    def take(self, event: RunEvent) -> None:
        """Keep an event."""
        self.events.put(event)


class EngineProcess:
    """One engine in a process of its own; see ``measure`` in docs/worker-protocol.md.

    Args:
        request: as there, without ``run``.
    """

    def __init__(self, client: WorkerClient, request: Mapping[str, Any], limit: float = LIMIT) -> None:
        self._client, self._limit = client, limit
        self._record = EngineEvents()
        self._over = client.enqueue(request, self._record)
        # Where the worker itself died there is no event: its end wakes whoever waits.
        self._over.add_done_callback(lambda _: self._record.take(Exit(run="", code=-1)))

    def wait_loaded(self) -> Loaded:
        """Wait until it is loaded.

        Raises:
            EngineError: it could not be.
        """
        event = self._next("loading")
        assert isinstance(event, Loaded)
        return event

    def run(self, order: Mapping[str, Any]) -> Measured:
        """One measurement.

        Raises:
            EngineError: the engine broke; it is gone then.
        """
        if self._over.done():
            raise EngineError("its process is over")
        self._client.tell(self._record, {"do": "run", **order})
        event = self._next("a run")
        assert isinstance(event, Measured)
        return event

    def close(self) -> None:
        """End it, and wait until its memory is free."""
        if not self._over.done():
            self._client.tell(self._record, {"do": "end"})
            self._over.result()

    def _next(self, what: str) -> Loaded | Measured:
        try:
            event = self._record.events.get(timeout=self._limit)
        except Empty:
            raise EngineError(f"hung: {what} took more than {self._limit:g} s") from None
        if isinstance(event, Loaded | Measured):
            return event
        if isinstance(event, Error):
            raise EngineError(error_line(event))
        exited = event if isinstance(event, Exit) and event.run else None
        raise EngineError(self._record.trouble or death(exited))
