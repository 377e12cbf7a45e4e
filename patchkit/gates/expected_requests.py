"""The requests of a call, one per prompt, in the order in which the worker makes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from patchkit.gates.scenario import Call


@dataclass(frozen=True)
class PromptRequest:
    """How one prompt is sampled; ``group`` is the number of its group in the call."""

    group: int
    n: int
    sampling: dict[str, Any]
    seeded: bool


def requests_of(call: Call) -> list[PromptRequest]:
    """Every prompt of a call; outputs refer to them by index."""
    return [
        PromptRequest(number, group.n, group.sampling, group.seed is not None)
        for number, group in enumerate(call.groups)
        for _ in range(group.prompts.count)
    ]
