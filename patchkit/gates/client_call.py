"""What the `openai` client asks of a server in a part of a scenario."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from patchkit.gates.declared import Declared
from patchkit.gates.prompts import Prompts


class ClientCall(Declared, frozen=True):
    """Requests for completions of one kind, one prompt each, answered before the next call is made.

    Attributes:
        prompts: as a group of a call has them.
        extra: sent as ``vllm_xargs``.
        together: the requests are sent at once, and begin in one step of the engine; without it, one after another.
        stream: the answer is read as it comes.
        leaves_after: the client disconnects after so many chunks of a streamed answer.
        refused: a regular expression that the error must match, with HTTP status 400.
    """

    name: str
    prompts: Prompts
    max_tokens: int
    n: int = 1
    sampling: dict[str, Any] = msgspec.field(default_factory=dict)
    seed: int | None = None
    extra: dict[str, Any] = msgspec.field(default_factory=dict)
    together: bool = False
    stream: bool = False
    leaves_after: int | None = None
    refused: str = ""

    def __post_init__(self) -> None:
        self.named()
        self.at_least(1, "n", "max_tokens", "leaves_after")
        self.at_least(0, "seed")
        if self.leaves_after and not self.stream:
            raise ValueError("leaves_after: only a streamed answer can be left: say `stream: true`")
        if self.leaves_after and self.refused:
            raise ValueError("leaves_after and refused cannot both hold")
        try:
            re.compile(self.refused)
        except re.error as error:
            raise ValueError(f"refused: {self.refused!r} is no regular expression: {error}") from None

    @property
    def whole(self) -> bool:
        """It is answered to the end, so that its tokens can be compared and counted."""
        return not self.refused and not self.leaves_after
