"""Where the time of a run goes, by torch.profiler: kernels on the device, operations on the host."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

MOST = 30  # rows
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
            ``device`` and ``host``: all that each was busy; ``rows``: the longest of either, at most ``MOST`` in all,
            with ``name``, ``where``, ``microseconds`` and ``calls``. Time of an operation is without what it calls.
        """
        if self._found is None:
            return None
        by_place: dict[str, list[dict[str, Any]]] = {"device": [], "host": []}
        for one in self._found.key_averages():
            where = "host" if "CPU" in str(one.device_type) else "device"
            spent = one.self_cpu_time_total if where == "host" else one.self_device_time_total
            row = {
                "name": one.key[:LONGEST_NAME],
                "where": where,
                "microseconds": round(spent / steps, 2),
                "calls": round(one.count / steps, 2),
            }
            by_place[where].append(row)
        places = [sorted(rows, key=lambda row: -row["microseconds"]) for rows in by_place.values()]
        share = MOST // sum(bool(rows) for rows in places) if any(places) else MOST
        return {
            **{place: round(sum(row["microseconds"] for row in rows), 1) for place, rows in by_place.items()},
            "rows": [row for rows in places for row in rows[:share]],
        }
