"""The model bank: one distiller a prompt, shared by its samples; all of them predict and train in one batched step."""

import heapq
from typing import NamedTuple

import numpy as np
import torch

from esamp import distiller
from esamp.config import Config
from esamp.counters import Counters
from esamp.requests import Owner
from esamp.rows import to_device


class Grouping(NamedTuple):
    """Where each row of a step sits among its slot's rows.

    Attributes:
        slots: slots ``0 .. slots-1`` take part; a slot without rows in this step is one of them and stays as it is.
        rows: rows of the slot that has most.
        places: ``[step rows]`` place of each row in a ``[slots * rows]`` layout.
        weights: ``[slots, rows, 1]``: 1 / (rows of the slot) where there is a row, else 0.
    """

    slots: int
    rows: int
    places: torch.Tensor
    weights: torch.Tensor


class ModelBank:
    """Distillers for the prompts being decoded.

    A prompt takes the lowest free slot at its first decode row and keeps it until its last sample has ended; a slot
    given to a new prompt starts from the first weights. The backward pass and Adam run on a side stream on CUDA, under
    the sampling of this step and the forward of the next; :meth:`join` is called before anything touches what they use.
    """

    def __init__(self, config: Config, hidden: int, device: torch.device, counters: Counters) -> None:
        self._config, self._hidden, self._device, self._counters = config, hidden, device, counters
        self._slots: dict[int, int] = {}
        self._free = list(range(config.model_bank_slots))
        self._first = distiller.first_parameters(hidden, config.rank, config.seed).to(device)
        shape = (config.model_bank_slots, self._first.shape[0])
        self._flat = self._first.repeat(shape[0], 1)
        self._gradient, self._mean, self._square = (torch.zeros(shape, device=device) for _ in range(3))
        self._steps = torch.zeros(shape[0], 1, device=device)
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._in_flight: tuple[object, ...] = ()

    def take_slots(self, owners: list[Owner]) -> np.ndarray:
        """``[rows]`` slot of each row's prompt; a prompt seen for the first time gets a fresh one."""
        for owner in owners:
            if owner.prompt not in self._slots:
                self._open(owner.prompt)
        return np.array([self._slots[owner.prompt] for owner in owners], dtype=np.int64)

    def release(self, prompt: int) -> None:
        """Free the slot of a prompt whose last sample has ended."""
        slot = self._slots.pop(prompt, None)
        if slot is not None:
            heapq.heappush(self._free, slot)

    def _open(self, prompt: int) -> None:
        if not self._free:
            raise RuntimeError(
                f"esamp: more than {self._config.model_bank_slots} prompts are being decoded at once; raise "
                "model_bank_slots, or lower the engine's max_num_seqs"
            )
        slot = heapq.heappop(self._free)
        self._slots[prompt] = slot
        self.join()
        self._flat[slot] = self._first
        for state in (self._mean, self._square, self._steps):
            state[slot] = 0

    def group(self, row_slots: np.ndarray) -> Grouping:
        """Lay the rows of a step out by slot."""
        counts = np.bincount(row_slots)
        slots, rows = len(counts), int(counts.max())
        order = np.argsort(row_slots, kind="stable")
        ranks = np.empty(len(row_slots), dtype=np.int64)
        ranks[order] = np.arange(len(row_slots)) - np.repeat(np.cumsum(counts) - counts, counts)
        places = row_slots * rows + ranks
        weights = np.zeros(slots * rows, dtype=np.float32)
        weights[places] = 1.0 / counts[row_slots]
        return Grouping(
            slots,
            rows,
            to_device(places, self._device),
            to_device(weights, self._device).view(slots, rows, 1),
        )

    def predict(self, shallow: torch.Tensor, grouping: Grouping) -> tuple[torch.Tensor, distiller.Activations]:
        """``[rows, hidden]`` float32 deep rows as the distillers see them, and what training on them needs."""
        self.join()
        seen = distiller.forward(self._parameters(self._flat, grouping.slots), self._lay_out(shallow, grouping))
        return seen.outputs.flatten(0, 1).index_select(0, grouping.places), seen

    def train(self, seen: distiller.Activations, deep: torch.Tensor, grouping: Grouping) -> None:
        """One training step on ``[rows, hidden]`` deep rows, each slot on the mean of its own rows."""
        target = self._lay_out(deep, grouping)
        if self._stream is None:
            self._train(seen, target, grouping)
            return
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            self._train(seen, target, grouping)
        # Memory of the main stream that the side stream still reads: keep it until join().
        self._in_flight = (seen, target, grouping)

    def _train(self, seen: distiller.Activations, target: torch.Tensor, grouping: Grouping) -> None:
        difference = seen.outputs - target
        active = (grouping.weights.sum(1) > 0).to(difference.dtype)
        slot_loss = (difference.square().mean(-1, keepdim=True) * grouping.weights).sum(1)
        gradient = self._gradient[: grouping.slots]
        distiller.backward(
            self._parameters(self._flat, grouping.slots),
            seen,
            difference * (grouping.weights * (2.0 / self._hidden)),
            into=self._parameters(self._gradient, grouping.slots),
        )
        distiller.adam_step(
            self._flat[: grouping.slots],
            gradient,
            self._mean[: grouping.slots],
            self._square[: grouping.slots],
            self._steps[: grouping.slots],
            active,
            self._config.learning_rate,
        )
        self._counters.add_loss(slot_loss.sum() / active.sum())

    def join(self) -> None:
        """Let the main stream wait for the training step under way."""
        if self._stream is not None:
            torch.cuda.current_stream(self._device).wait_stream(self._stream)
            self._in_flight = ()

    def _lay_out(self, rows: torch.Tensor, grouping: Grouping) -> torch.Tensor:
        grouped = torch.zeros(grouping.slots * grouping.rows, self._hidden, device=self._device)
        grouped.index_copy_(0, grouping.places, rows.float())
        return grouped.view(grouping.slots, grouping.rows, self._hidden)

    def _parameters(self, flat: torch.Tensor, slots: int) -> distiller.Parameters:
        return distiller.view_parameters(flat[:slots], self._hidden, self._config.rank)
