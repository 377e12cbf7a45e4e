"""Localisation: which packed rows of a step are decode rows, and whose they are.

vLLM packs the tokens of all requests of a step into one ``[num_tokens, hidden]`` batch, request after request in the
order of ``input_batch.req_ids``. A *decode row* is the single token of a request that feeds back what was sampled last:
not a chunk of a prompt, and not a token computed again after a preemption.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from esamp.engine.requests import Owner, RequestBook


@dataclass
class Located:
    """The decode rows of one step that have an owner.

    Attributes:
        requests: requests in the batch, which is also the number of rows that the sampler will see.
        positions: ``[rows]`` place of each decode row's request in the batch.
        owners: whose row it is, in the same order.
        unmapped: decode rows whose request nobody registered.
        strangers: requests of the batch that nobody registered, those that do not decode yet among them.
    """

    requests: int
    positions: np.ndarray
    owners: list[Owner]
    unmapped: int
    strangers: int

    def same_rows(self, other: "Located") -> bool:
        """The same requests decode in the same places."""
        return (
            self.requests == other.requests
            and self.owners == other.owners
            and np.array_equal(self.positions, other.positions)
        )


def locate(batch: Any, scheduled_tokens: dict[str, int], book: RequestBook) -> Located:
    """Find the decode rows of a step in vLLM's input batch.

    Args:
        batch: ``GPUModelRunner.input_batch`` after ``_prepare_inputs``.
        scheduled_tokens: tokens of each request in this step, ``SchedulerOutput.num_scheduled_tokens``.
        book: the requests in the engine.
    """
    count = batch.num_reqs
    request_ids = batch.req_ids[:count]
    scheduled = np.fromiter((scheduled_tokens[name] for name in request_ids), np.int64, count)
    computed = batch.num_computed_tokens_cpu[:count]
    newest = computed + 1 == batch.num_tokens_no_spec[:count]
    decode = np.flatnonzero((scheduled == 1) & (computed >= batch.num_prompt_tokens[:count]) & newest)

    found = [(position, book.owner(request_ids[position])) for position in decode.tolist()]
    mapped = [(position, owner) for position, owner in found if owner is not None]
    return Located(
        requests=count,
        positions=np.array([position for position, _ in mapped], dtype=np.int64),
        owners=[owner for _, owner in mapped],
        unmapped=len(found) - len(mapped),
        strangers=sum(book.owner(request_id) is None for request_id in request_ids),
    )


class RowIndex:
    """The row numbers that the taps gather, in a buffer whose address and length never change.

    A CUDA graph replays a gather with the shape that it was captured with, so the taps always gather ``capacity`` rows;
    the first ``count`` of them mean something.
    """

    def __init__(self, capacity: int, device: torch.device) -> None:
        self.buffer = torch.zeros(capacity, dtype=torch.int64, device=device)
        self.count = 0
        self.owners: list[Owner] = []

    @property
    def capacity(self) -> int:
        return self.buffer.shape[0]

    def publish(self, rows: torch.Tensor, owners: list[Owner]) -> None:
        """Point at this step's decode rows: ``[count]`` packed row numbers, and whose they are."""
        count = len(owners)
        if count > self.capacity:
            raise RuntimeError(f"esamp: a step has {count} decode rows but capture_rows is {self.capacity}; raise it")
        self.buffer[:count].copy_(rows)
        self.count = count
        self.owners = owners
