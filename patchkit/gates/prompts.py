"""The prompts of a call."""

from __future__ import annotations

from typing import Literal

from patchkit.gates.declared import Declared


class Prompts(Declared, frozen=True):
    """Prompts of one kind; the same seed makes the same prompts."""

    kind: Literal["random", "arithmetic"]
    count: int
    tokens: int | tuple[int, int] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        self.at_least(1, "count", "tokens")
        self.at_least(0, "seed")
        self.span("tokens")
        if self.kind == "random" and self.tokens is None:
            raise ValueError("random prompts need `tokens`, their length or a span of lengths")
