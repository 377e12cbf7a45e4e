"""Where the time of a run goes, by torch.profiler: kernels on the device, operations on the host."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from patchkit_worker.kernel_times import kernel_times

MOST = 30  # rows of the device, and of the host
LONGEST_NAME = 120


@contextmanager
def profiled(wanted: bool) -> Iterator["Profile"]:
    """Profile what runs inside, if ``wanted``."""
    if not wanted:
        yield Profile(None)
        return
    activities = [torch.profiler.ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as found:
        yield Profile(found)


class Profile:
    """What was found; nothing if nothing was profiled."""

    def __init__(self, found: Any | None) -> None:
        self._found = found

    def rows(self, steps: int) -> dict[str, Any] | None:
        """Microseconds and calls a step.

        Returns:
            ``device`` and ``host``: all that each was busy; ``streams``: the same of each stream of the device, the one
            with the most kernels first; ``rows``: the longest, at most ``MOST`` of the device and of the host, with
            ``name``, ``where``, ``microseconds``, ``calls`` and, on the device, ``stream``, counted from 1. Time of an
            operation is without what it calls. Streams can be busy at once, so ``device`` can exceed the step.
        """
        if self._found is None:
            return None
        device, streams = kernel_times((_kernel(one) for one in self._found.events() if _is_kernel(one)), steps)
        host = [
            _row(one.key, "host", one.self_cpu_time_total / steps, one.count / steps)
            for one in self._found.key_averages()
            if not _on_device(one)
        ]
        rows = [_row(one.name, "device", one.microseconds, one.calls) | {"stream": one.stream} for one in device]
        return {
            "device": round(sum(streams), 1),
            "host": round(sum(row["microseconds"] for row in host), 1),
            "streams": [round(busy, 1) for busy in streams],
            "rows": [*rows[:MOST], *sorted(host, key=lambda row: -row["microseconds"])[:MOST]],
        }


def _on_device(event: Any) -> bool:
    return "CPU" not in str(event.device_type)


def _is_kernel(event: Any) -> bool:
    """A kernel or a copy, not a range that the profiler repeats on the device around some of them."""
    return _on_device(event) and not event.is_user_annotation


def _kernel(event: Any) -> tuple[int, str, float]:
    return event.device_resource_id, event.name, event.time_range.elapsed_us()


def _row(name: str, where: str, microseconds: float, calls: float) -> dict[str, Any]:
    return {
        "name": name[:LONGEST_NAME],
        "where": where,
        "microseconds": round(microseconds, 2),
        "calls": round(calls, 2),
    }
