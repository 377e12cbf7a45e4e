"""The GPUs of this host, and how many engines may run beside one another on them."""

from __future__ import annotations

import os
from pathlib import Path

from packaging.version import Version

from patchkit.errors import PatchkitError
from patchkit.plural import counted

# From this release on the worker says how large the cache of keys and values is. Before, vLLM sizes it by the memory
# that is free while it loads, and asserts that no other process takes or frees any.
SHARES_A_GPU = Version("0.10.2")
ON_A_GPU = 8
"""Engines that may run beside one another on one GPU."""


def gpus() -> list[str]:
    """The GPUs that may be used, as CUDA names them; ``0`` if they cannot be listed."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    found = visible.split(",") if visible else [path.name[6:] for path in Path("/dev").glob("nvidia[0-9]*")]
    return sorted(found) or ["0"]


def how_many_workers(wanted: int | None, device: str, release: str) -> int:
    """Runs at a time: on the CPU two if there are two cores; on GPUs one, or as many as ``wanted``.

    Raises:
        PatchkitError: more than the GPUs take: ``ON_A_GPU`` each, or one with a release of vLLM that cannot share one.
    """
    if device == "cpu":
        return wanted or min(2, len(os.sched_getaffinity(0)))
    there = len(gpus())
    most = there * (ON_A_GPU if Version(release) >= SHARES_A_GPU else 1)
    if (wanted or 1) > most:
        raise PatchkitError(
            f"{wanted} engines of vLLM {release} cannot load side by side on {counted(there, 'GPU')}",
            f"ask for {most} at most, or leave the number out",
        )
    return wanted or 1


def gpus_for(workers: int, device: str) -> list[str]:
    """The GPU of each of several workers, in turn; none where there is no choice to make."""
    there = gpus()
    return [there[number % len(there)] for number in range(workers)] if device != "cpu" and workers > 1 else []


def gpu_of(process: int, processes: int, release: str) -> str:
    """The GPU of one of several processes, each of which runs a part at a time; "" where there is no choice to make.

    Raises:
        PatchkitError: there are too many, see :func:`how_many_workers`.
    """
    how_many_workers(processes, "cuda", release)
    there = gpus()
    return there[process % len(there)] if len(there) > 1 else ""
