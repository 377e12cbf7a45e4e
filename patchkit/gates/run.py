"""What one run of one part left behind, in the words the invariants use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from patchkit.gates.events import Error, Exit, Pass, Result, RunEvent, Step

if TYPE_CHECKING:
    from patchkit.gates.scenario import Part


@dataclass
class Run:
    """The events of one run, and what the client itself saw go wrong (``trouble``)."""

    part: Part
    settings: dict[str, Any] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    result: Result | None = None
    error: Error | None = None
    exit: Exit | None = None
    trouble: str = ""
    seconds: float = 0.0

    def take(self, event: RunEvent) -> None:
        """Keep an event of this run."""
        if isinstance(event, Step):
            self.steps.append(event)
        elif isinstance(event, Result):
            self.result = event
        elif isinstance(event, Error):
            self.error = event
        elif isinstance(event, Exit):
            self.exit = event

    @property
    def patched(self) -> list[Step]:
        """Steps of the passes with the runtime."""
        return [step for step in self.steps if step.pass_ == "patched"]

    @property
    def decoding(self) -> list[Step]:
        """Steps of the passes with the runtime that had at least one decode row."""
        return [step for step in self.patched if step.shape.decode_rows > 0]

    def passes(self, kind: str) -> list[Pass]:
        """The finished passes of one kind."""
        return [done for done in self.result.passes if done.pass_ == kind] if self.result else []

    def pairs(self) -> Iterator[tuple[Pass, Pass]]:
        """Plain and patched passes of the same repeat."""
        patched = {done.repeat: done for done in self.passes("patched")}
        for plain in self.passes("plain"):
            if plain.repeat in patched:
                yield plain, patched[plain.repeat]

    @property
    def last_words(self) -> str:
        """The most useful text for whoever must find out why: a traceback, else the last lines on stderr."""
        words = self.exit.last_words if self.exit else ""
        tail = words if isinstance(words, str) else "\n".join(words)
        return (self.error.traceback if self.error and self.error.traceback else tail).strip()
