"""The GPUs of this host, and how many engines may run beside one another on them."""

from __future__ import annotations

import os
from pathlib import Path

from patchkit.errors import PatchkitError
from patchkit.plural import counted


def gpus() -> list[str]:
    """The GPUs that may be used, as CUDA names them; ``0`` if they cannot be listed."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    found = visible.split(",") if visible else [path.name[6:] for path in Path("/dev").glob("nvidia[0-9]*")]
    return sorted(found) or ["0"]


def how_many_workers(wanted: int | None, device: str) -> int:
    """Runs at a time: on the CPU two if there are two cores; on GPUs one, or as many as ``wanted``.

    Raises:
        PatchkitError: more than there are GPUs. vLLM sizes its cache by the memory that is free while it loads, and
            asserts that no other process takes or frees any.
    """
    if device == "cpu":
        return wanted or min(2, len(os.sched_getaffinity(0)))
    there = len(gpus())
    if (wanted or 1) > there:
        raise PatchkitError(
            f"{wanted} vLLM engines cannot load side by side on {counted(there, 'GPU')}",
            f"ask for {there} at most, or leave the number out",
        )
    return wanted or 1


def gpus_for(workers: int, device: str) -> list[str]:
    """The GPU of each of several workers; none where there is no choice to make."""
    return gpus()[:workers] if device != "cpu" and workers > 1 else []
