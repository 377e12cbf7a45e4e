"""Random delays on every CUDA stream that becomes the current one, so that a missing event between two of them shows.

It hooks ``torch.cuda.set_stream``, through which ``torch.cuda.stream(...)`` enters a stream and comes back to the one
before. So it holds for whatever uses these, vLLM or a runtime. In graphs that a runtime captures, a delay follows each
``torch.cuda.Event.record``, which ``wait_stream`` calls too.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from patchkit_worker.lateness import UNDELAYED, HostPace, Lateness
from patchkit_worker.runners import Adapter

CYCLES_A_SECOND = 1.5e9  # about what the clock of a GPU does
IN_GRAPHS = -1  # in place of a stream's handle: what is late inside the runtime's graphs
TRIAL = 0.05  # seconds, in which a launch takes microseconds
TORCH = str(Path(torch.__file__).parent)


class Delays:
    """The delays of one engine; it hooks vLLM before the runtime does. ``tree``: folder of the runtime."""

    def __init__(self, tree: str | None) -> None:
        from patchkit_worker.captured_delay import CapturedDelay  # needs Triton, which is there where CUDA is

        self._tree, self._pace = tree, HostPace()
        self._lateness: Lateness | None = None
        check_launches()
        self._in_graphs, self._captured = CapturedDelay(), False
        self._hook_steps()
        self._hook_events()

    def _hook_steps(self) -> None:
        original, delays = Adapter.owner.execute_model, self

        def execute_model(runner: Any, *given: Any, **named: Any) -> Any:
            delays.begin_step()
            return original(runner, *given, **named)

        Adapter.owner.execute_model = execute_model

    def _hook_events(self) -> None:
        original, set_stream, delays = torch.cuda.Event.record, torch.cuda.set_stream, self

        def record(event: Any, stream: Any = None) -> None:
            original(event, stream)
            current = torch.cuda.current_stream()
            set_stream(stream or current)
            try:
                delays._capture()
            finally:
                set_stream(current)

        torch.cuda.Event.record = record

    def begin_step(self) -> None:
        """A step of the engine begins, on the main stream."""
        if self._lateness is None:
            self._pace.begin_step()
            return
        self._lateness.begin_step()
        self._delay()
        if self._captured:
            self._in_graphs.set(self._lateness.next_delay(IN_GRAPHS, by_runtime=False))

    @contextmanager
    def during(self, repeat: int) -> Iterator[None]:
        """The calls of a pass; after the first repeats with delays, in each with others."""
        self._lateness = None if repeat < UNDELAYED else Lateness(repeat, self._pace.longest_delay())
        self._captured = False  # each pass has a runtime of its own, if any
        self._in_graphs.set(0.0)
        if self._lateness is None:
            yield
            return
        set_stream = torch.cuda.set_stream

        def set_stream_late(stream: Any) -> None:
            set_stream(stream)
            self._delay()

        torch.cuda.set_stream = set_stream_late
        try:
            yield
        finally:
            torch.cuda.set_stream = set_stream

    def report(self) -> list[dict[str, Any]] | None:
        """The streams of the last pass and their delays; None if it had none."""
        return None if self._lateness is None else self._lateness.report()

    def _delay(self) -> None:
        """Let the current stream be late, unless what it is given is being captured into a graph."""
        if self._lateness is None or torch.cuda.is_current_stream_capturing():
            return
        seconds = self._lateness.next_delay(torch.cuda.current_stream().cuda_stream, self._by_runtime())
        if seconds:
            sleep(seconds)

    def _capture(self) -> None:
        """Have the runtime's graph that is being captured, if one is, be late from here on; in any pass it may be."""
        if torch.cuda.is_current_stream_capturing() and self._by_runtime():
            self._in_graphs.capture()
            self._captured = True

    def _by_runtime(self) -> bool:
        """Whether the nearest code that is not torch's or this file's lies in the runtime's tree."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename.startswith((TORCH, __file__)):
            frame = frame.f_back
        return bool(self._tree and frame is not None and frame.f_code.co_filename.startswith(f"{self._tree}/"))


def sleep(seconds: float) -> None:
    """Let the current stream do nothing for about so long; the host goes on."""
    torch.cuda._sleep(int(seconds * CYCLES_A_SECOND))


def check_launches() -> None:
    """The host does not wait for what it launches; else no stream could be late.

    Raises:
        RuntimeError: it does.
    """
    sleep(0.0)  # what a first launch loads is not for the clock, and must not be loaded while a graph is captured
    least = min(time_launch() for _ in range(3))  # others may have had the processor meanwhile
    if least > TRIAL / 2:
        raise RuntimeError(f"the host waits for what it launches ({least:.3f} s for a delay): nothing can be late")


def time_launch() -> float:
    """Seconds that the host takes to launch a delay."""
    torch.cuda.synchronize()
    began = time.monotonic()
    sleep(TRIAL)
    launched = time.monotonic() - began
    torch.cuda.synchronize()
    return launched
