"""Where samples are drawn: one worker, or one a GPU; each draws a share of the problems."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Protocol

from patchkit.console import working
from patchkit.errors import PatchkitError
from patchkit.gates.events import Drawn, Error, Exit, Loaded, Progress, RunEvent
from patchkit.gates.invariants.finished import death, error_line
from patchkit.gates.worker_client import WorkerClient
from patchkit.gates.workspace import Workspace


class DrawError(Exception):
    """A draw failed; the message is one line."""


@dataclass
class Drawing:
    """The events of one shard, passed on to ``inbox`` as they arrive, each with its drawing."""

    inbox: SimpleQueue[Any]
    loaded: Loaded | None = None
    drawn: Drawn | None = None
    error: Error | None = None
    exit: Exit | None = None
    progress: Progress | None = None
    rows: int = 0  # samples that were read from the inbox
    trouble: str = ""
    seconds: float = 0.0

    def take(self, event: RunEvent) -> None:
        """Keep the latest event of each kind but samples, and pass everything on."""
        if isinstance(event, Loaded):
            self.loaded = event
        elif isinstance(event, Progress):
            self.progress = event
        elif isinstance(event, Drawn):
            self.drawn = event
        elif isinstance(event, Error):
            self.error = event
        elif isinstance(event, Exit):
            self.exit = event
        self.inbox.put((self, event))

    @property
    def broken(self) -> str:
        """Why this shard failed, in one line; empty if it did not."""
        if self.error:
            return error_line(self.error)
        if self.trouble:
            return self.trouble
        if self.exit is None or self.exit.code != 0 or self.exit.signal:
            return death(self.exit)
        return "" if self.drawn else "the draw ended without its end"


class Shard(Protocol):
    """Where a share of the problems is drawn."""

    def enqueue(self, request: Mapping[str, Any], record: Drawing, *, patience: float) -> Future[Drawing]:
        """Draw; events go to ``record``. Ends in a PatchkitError only if there is no worker at all."""


@contextmanager
def local_shards(workspace: Workspace, count: int) -> Iterator[list[Shard]]:
    """The workspace's own worker, or ``count`` of them, each of which sees one GPU of this host."""
    if count == 1:
        yield [workspace.worker_client]
        return
    with ExitStack() as stack:
        shards = [
            stack.enter_context(
                WorkerClient(workspace.environment, variables={**workspace.variables, "CUDA_VISIBLE_DEVICES": gpu})
            )
            for gpu in visible(count)
        ]
        for shard in shards:
            shard.start()
        with working(f"importing vLLM in {count} workers"):
            for shard in shards:
                shard.wait_ready()
        yield list(shards)


def visible(count: int) -> list[str]:
    """The first GPUs of this host, or of those that the user lets it see."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    named = [gpu.strip() for gpu in chosen if gpu.strip()] or [str(number) for number in range(count)]
    if len(named) < count:
        raise PatchkitError(f"{count} shards, but CUDA_VISIBLE_DEVICES names {len(named)}", "ask for fewer --shards")
    return named[:count]
