"""A delay inside CUDA graphs: a kernel that reads from the device how long it lasts, each time a graph is replayed.

A delay between launches holds back a graph as a whole. Of a runtime that predicts and trains in one graph, the training
would never be late alone.
"""

import torch
import triton
import triton.language as tl
from triton.language.extra.cuda import globaltimer


class CapturedDelay:
    """One length for all graphs of an engine. Make it before any of them is captured: that loads the kernel."""

    def __init__(self) -> None:
        self._nanoseconds = torch.zeros((), dtype=torch.int64, device="cuda")
        self._launch()

    def set(self, seconds: float) -> None:
        """How long it lasts in what the current stream does from now on; graphs under way elsewhere may see it too."""
        self._nanoseconds.fill_(int(1e9 * seconds))

    def capture(self) -> None:
        """Delay what the graph that is captured on the current stream does next."""
        self._launch()

    def _launch(self) -> None:
        _wait[(1,)](self._nanoseconds, num_warps=1)


@triton.jit
def _wait(nanoseconds):
    now = globaltimer()
    until = now + tl.load(nanoseconds)
    while now < until:
        now = globaltimer()
