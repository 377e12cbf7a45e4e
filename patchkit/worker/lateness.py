"""Which stream of a device is late, when and by how much, at random but repeatably; it imports no torch.

Work on two streams is ordered by events, or else by chance. As the host launches slowly, chance nearly always gives the
right order. So one stream after another, or all of them, is late here, by up to a few of the engine's steps.
"""

import random
import time
from dataclasses import dataclass
from statistics import median
from typing import Any

UNDELAYED = 2  # repeats of a part without delays: see `delays` in docs/worker-protocol.md
LONGEST = 4  # of the engine's steps, that a delay lasts
LEAST = 0.001  # seconds that the longest delay lasts, however short the steps are
SPAN = 3  # steps in which the same stream is late
VARIABLES = {
    "CUDA_LAUNCH_BLOCKING": "0",  # where the host waits for each launch, nothing comes too late
    "CUDA_DEVICE_MAX_CONNECTIONS": "32",  # streams that share a queue of the device wait for one another
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # without it, sums may come out otherwise beside another stream's work
}
"""Of the environment of a process whose streams are late, before it touches the device."""


@dataclass
class DelayedStream:
    """A stream and its delays; ``entered_by_runtime``: code of the runtime's tree made it the current one."""

    number: int
    entered_by_runtime: bool = False
    delays: int = 0
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "stream": self.number,
            "of_runtime": self.number > 0 and self.entered_by_runtime,  # 0, the main one, is left and come back to
            "delays": self.delays,
            "milliseconds": round(1000 * self.seconds, 1),
        }


class Lateness:
    """The delays of one pass.

    Args:
        seed: of the random numbers.
        longest: seconds.
    """

    def __init__(self, seed: int, longest: float) -> None:
        self._random, self._longest = random.Random(seed), longest
        self._streams: dict[int, DelayedStream] = {}
        self._entered: set[int] = set()
        self._late: int | None = None  # the number of the stream that is late now; None: all are
        self._steps = 0

    def begin_step(self) -> None:
        """A step of the engine begins: after some, another of the streams that were entered meanwhile is late."""
        if self._steps % SPAN == 0:
            self._late = self._random.choice([None, *sorted(self._entered)])
            self._entered.clear()
        self._steps += 1

    def next_delay(self, handle: int, by_runtime: bool) -> float:
        """Seconds by which a stream that becomes the current one is late; the first that does is the main one."""
        stream = self._streams.setdefault(handle, DelayedStream(len(self._streams)))
        stream.entered_by_runtime |= by_runtime
        self._entered.add(stream.number)
        if self._late not in (None, stream.number):
            return 0.0
        seconds = self._random.uniform(0, self._longest)
        stream.delays += 1
        stream.seconds += seconds
        return seconds

    def report(self) -> list[dict[str, Any]]:
        """Every stream, the main one first."""
        return [stream.as_json() for stream in self._streams.values()]


class HostPace:
    """How long the host takes for a step of the engine."""

    def __init__(self) -> None:
        self._began: list[float] = []

    def begin_step(self) -> None:
        """A step begins."""
        self._began.append(time.monotonic())

    def longest_delay(self) -> float:
        """Seconds: some steps of the usual length, so that the host is well past what a delay holds back."""
        between = [later - earlier for earlier, later in zip(self._began, self._began[1:], strict=False)]
        return max(LONGEST * median(between), LEAST) if between else LEAST
