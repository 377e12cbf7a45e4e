"""Memory of this process: on CUDA what PyTorch has allocated on the device, else what is resident."""

import os
import resource

import torch


def watch_peak() -> None:
    """Count the peak from now on, where that can be done."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def memory_now() -> dict[str, int]:
    """Bytes ``used`` now, and at the ``peak``: since :func:`watch_peak` on CUDA, else of the process's whole life."""
    if torch.cuda.is_available():
        return {"used": torch.cuda.memory_allocated(), "peak": torch.cuda.max_memory_allocated()}
    with open("/proc/self/statm") as file:  # noqa: PTH123 - the worker reads it as the kernel gives it
        pages = int(file.read().split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"used": pages * os.sysconf("SC_PAGE_SIZE"), "peak": peak}
