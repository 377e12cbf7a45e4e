"""Kernels of a profile, added up by stream and name; no torch is needed for it."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class KernelTime:
    """A kernel on one stream: microseconds and calls, a step."""

    stream: int
    name: str
    microseconds: float
    calls: float


def kernel_times(kernels: Iterable[tuple[int, str, float]], steps: int) -> tuple[list[KernelTime], list[float]]:
    """Add up kernels.

    Args:
        kernels: each one's stream, name and microseconds.
        steps: that all of them took.

    Returns:
        The kernels, the longest first, with streams counted from 1; and microseconds a step of each stream. Stream 1
        has the most kernels, so it is the one on which vLLM runs its model.
    """
    calls: dict[int, Counter[str]] = defaultdict(Counter)
    spent: dict[tuple[int, str], float] = defaultdict(float)
    for stream, name, microseconds in kernels:
        calls[stream][name] += 1
        spent[stream, name] += microseconds
    ordered = sorted(calls, key=lambda stream: (-calls[stream].total(), stream))
    found = [
        KernelTime(number, name, spent[stream, name] / steps, count / steps)
        for number, stream in enumerate(ordered, 1)
        for name, count in calls[stream].items()
    ]
    busy = [sum(one.microseconds for one in found if one.stream == number) for number in range(1, len(ordered) + 1)]
    return sorted(found, key=lambda one: -one.microseconds), busy
