"""The bank: the distillers of the prompts being decoded; all of them predict and train in one batched step."""

from typing import Callable, NamedTuple, Optional

import numpy as np
import torch

from esamp.method import network
from esamp.method.grouping import Grouping, group
from esamp.method.network import Network, Parameters, Seen
from esamp.method.optimisers import Optimiser
from esamp.method.slots import Slots

FLOAT_BYTES = 4
# A bank that must grow does so by a quarter at least, so that prompts that come one by one do not copy it each time;
# when less than half of it is needed it shrinks.
SPARE = 4


class State(NamedTuple):
    """What a distiller has learnt: ``[size]`` float32 copies; no moments under plain SGD."""

    parameters: torch.Tensor
    mean: Optional[torch.Tensor]
    square: Optional[torch.Tensor]
    steps: int


def bytes_of(form: Network, optimiser: Optimiser) -> int:
    """Bytes that one distiller takes: weights, gradient and moments."""
    return FLOAT_BYTES * form.size * (2 + optimiser.moments)


class Bank:
    """Holds weights, gradient and moments of each distiller, float32, as ``[capacity, size]`` matrices.

    The backward pass and the optimiser run on a side stream on CUDA, under the sampling of this step and the forward of
    the next; :meth:`join` is called before anything touches what they use.

    Args:
        form: of every distiller.
        first: ``[size]`` the weights that each starts from.
        optimiser: how they learn.
        shared: one distiller for all prompts.
        first_only: a distiller sees the first row of each of its prompts alone.
        reserve: called with the bytes that are about to be taken; raises if there are not so many.
        report: called with each step's loss (0-dimensional), the mean over the distillers that trained.
    """

    def __init__(
        self,
        form: Network,
        first: torch.Tensor,
        optimiser: Optimiser,
        shared: bool,
        first_only: bool,
        reserve: Callable[[int], None],
        report: Callable[[torch.Tensor], None],
    ) -> None:
        self._form, self._first, self._optimiser, self._reserve = form, first, optimiser, reserve
        self._report, self._first_only, self._device = report, first_only, first.device
        self.slots = Slots(shared)
        self._held = [self._empty(0) for _ in range(2 + optimiser.moments)]  # weights, gradient, moments
        self._steps = torch.zeros(0, 1, device=self._device)
        self._stream = torch.cuda.Stream(self._device) if self._device.type == "cuda" else None
        self._in_flight: tuple[object, ...] = ()

    # Memory.

    @property
    def capacity(self) -> int:
        """Distillers that there is room for."""
        return self._held[0].shape[0]

    @property
    def bytes_each(self) -> int:
        """Bytes that one distiller takes."""
        return bytes_of(self._form, self._optimiser)

    def _empty(self, capacity: int) -> torch.Tensor:
        return torch.zeros(capacity, self._form.size, device=self._device)

    def _fit(self) -> None:
        """Have room for the slots in use, and for few others."""
        needed, capacity = self.slots.needed, self.capacity
        if capacity >= needed >= capacity // 2:
            return
        wanted = max(needed, capacity + capacity // SPARE) if needed > capacity else needed
        self.join()
        if wanted > capacity:
            self._reserve((wanted - capacity) * self.bytes_each + wanted * self._form.size * FLOAT_BYTES)
        kept = min(wanted, capacity)
        self._held[1] = self._empty(0)  # the gradient is written before it is read: it need not be copied
        for number, matrix in enumerate(self._held):
            moved = self._empty(wanted)
            if number != 1:
                moved[:kept] = matrix[:kept]
            self._held[number] = moved
            del matrix
        steps = torch.zeros(wanted, 1, device=self._device)
        steps[:kept] = self._steps[:kept]
        self._steps = steps

    # The prompts.

    def group(self, prompts: list[int]) -> Grouping:
        """Lay out a step whose rows belong to these prompts; one seen for the first time gets a fresh distiller."""
        slots, fresh = self.slots.take(prompts)
        self._fit()
        if fresh:
            self.join()
        for slot in fresh:
            self._held[0][slot] = self._first
            for matrix in (*self._held[2:], self._steps):
                matrix[slot] = 0
        return group(slots, np.array(prompts), self._first_only, self._device)

    def release(self, prompt: int) -> None:
        """The last sample of a prompt has ended: its slot may be given to another."""
        self.slots.release(prompt)
        self._fit()

    def state(self, prompt: int) -> Optional[State]:
        """What a prompt's distiller has learnt; None if it has none."""
        slot = self.slots.find(prompt)
        if slot < 0:
            return None
        self.join()
        weights, *moments = (self._held[number][slot].clone() for number in (0, *range(2, len(self._held))))
        mean, square = moments or (None, None)
        return State(weights, mean, square, int(self._steps[slot].item()))

    # A step.

    def predict(self, source: torch.Tensor, grouping: Grouping) -> tuple[torch.Tensor, Seen]:
        """``[rows, hidden]`` float32 targets as the distillers see them, and what training on them needs."""
        self.join()
        seen = network.forward(self._view(0, grouping), self._lay_out(self._form.prepare(source), grouping))
        return seen.outputs.flatten(0, 1).index_select(0, grouping.serving), seen

    def train(self, seen: Seen, target: torch.Tensor, grouping: Grouping) -> torch.Tensor:
        """One step on ``[rows, hidden]`` targets, each distiller on the mean over its own rows.

        Returns:
            ``[slots]`` losses before the step, 0 for a distiller without rows; on the side stream, see :meth:`join`.
        """
        laid_out = self._lay_out(target, grouping)
        if self._stream is None:
            return self._train(seen, laid_out, grouping)
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            losses = self._train(seen, laid_out, grouping)
        # Memory of the main stream that the side stream still reads: keep it until join().
        self._in_flight = (seen, laid_out, grouping)
        return losses

    def _train(self, seen: Seen, target: torch.Tensor, grouping: Grouping) -> torch.Tensor:
        error = seen.outputs - target
        losses = (error.square().mean(-1, keepdim=True) * grouping.weights).sum(1)
        error = error * (grouping.weights * (2.0 / self._form.hidden))
        network.backward(self._view(0, grouping), seen, error, into=self._view(1, grouping))
        weights, gradient, *moments = (matrix[: grouping.slots] for matrix in self._held)
        self._optimiser.step(weights, gradient, moments, self._steps[: grouping.slots], grouping.active)
        self._report(losses.sum() / grouping.active.sum())
        return losses.squeeze(1)

    def join(self) -> None:
        """Let the main stream wait for the training step under way."""
        if self._stream is not None:
            torch.cuda.current_stream(self._device).wait_stream(self._stream)
            self._in_flight = ()

    def _lay_out(self, rows: torch.Tensor, grouping: Grouping) -> torch.Tensor:
        laid_out = torch.zeros(grouping.slots * grouping.rows, self._form.hidden, device=self._device)
        laid_out.index_copy_(0, grouping.places, rows.index_select(0, grouping.taken).float())
        return laid_out.view(grouping.slots, grouping.rows, self._form.hidden)

    def _view(self, number: int, grouping: Grouping) -> Parameters:
        return self._form.view(self._held[number][: grouping.slots])
