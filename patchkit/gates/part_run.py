"""One run of one part: its events, in the form that the invariants use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from patchkit.gates.events import Error, Exit, Pass, Result, RunEvent, Step

if TYPE_CHECKING:
    from pathlib import Path

    from patchkit.gates.scenario import Part


class CounterDeclaration(Protocol):
    """A counter as a runtime declares it; see ``patchkit.series.manifest.Counter``."""

    @property
    def must_be(self) -> str: ...
    @property
    def means(self) -> str: ...


class PluginDeclaration(Protocol):
    """How vLLM itself starts a runtime; see ``patchkit.series.manifest.Plugin``."""

    @property
    def variable(self) -> str: ...
    def needed(self, release: str) -> list[str]: ...


class ServedDeclaration(Protocol):
    """What a server of the runtime is asked; see ``patchkit.series.manifest.Served``."""

    @property
    def counters(self) -> str: ...


class RuntimeDeclaration(Protocol):
    """The fields of a runtime's manifest that a run needs."""

    @property
    def name(self) -> str: ...
    @property
    def start(self) -> str: ...
    @property
    def defaults(self) -> Mapping[str, Any]: ...
    @property
    def off(self) -> Mapping[str, Any] | None: ...
    @property
    def counters(self) -> Mapping[str, CounterDeclaration]: ...
    @property
    def gates(self) -> Path: ...
    @property
    def probe(self) -> Path | None: ...
    @property
    def plugin(self) -> PluginDeclaration | None: ...
    @property
    def served(self) -> ServedDeclaration | None: ...


@dataclass
class Run:
    """The events of one run, and what the client itself saw go wrong (``trouble``).

    Attributes:
        installs: for each install of the runtime, every setting that it is given.
        unfit: why there was nothing to run.
    """

    part: Part
    runtime: RuntimeDeclaration | None = None
    installs: Sequence[Mapping[str, Any]] = ()
    steps: list[Step] = field(default_factory=list)
    result: Result | None = None
    error: Error | None = None
    exit: Exit | None = None
    trouble: str = ""
    unfit: str = ""
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
    def counters(self) -> Mapping[str, CounterDeclaration]:
        """The counters that the runtime declares."""
        return self.runtime.counters if self.runtime else {}

    def declared(self, *kinds: str) -> list[str]:
        """The counters that must be of one of these kinds, in the manifest's order."""
        return [name for name, counter in self.counters.items() if counter.must_be in kinds]

    def undeclared(self, what: str) -> str:
        """One line for an invariant that needs a counter that the runtime does not declare."""
        name = self.runtime.name if self.runtime else "the runtime"
        return f"{name} declares no {what}: say it under `counters` in patches/{name}/runtime.yaml"

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings of the runtime's first install."""
        return self.installs[0] if self.installs else {}

    def settings_of(self, seen: Step | Pass) -> Mapping[str, Any]:
        """The runtime's settings in the pass that a step belongs to."""
        return self.installs[seen.install] if seen.install < len(self.installs) else {}

    @property
    def patched(self) -> list[Step]:
        """Steps of the passes with the runtime."""
        return [step for step in self.steps if step.pass_ == "patched"]

    @property
    def decoding(self) -> list[Step]:
        """Steps of the passes with the runtime that had at least one decode row."""
        return [step for step in self.patched if step.shape.decode_rows > 0]

    def steps_of(self, done: Pass) -> list[Step]:
        """The steps of one pass with the runtime."""
        return [step for step in self.patched if (step.repeat, step.install) == (done.repeat, done.install)]

    def passes(self, kind: str) -> list[Pass]:
        """The finished passes of one kind."""
        return [done for done in self.result.passes if done.pass_ == kind] if self.result else []

    def pairs(self) -> Iterator[tuple[Pass, Pass]]:
        """Plain and patched passes of the same repeat; a plain one with each install."""
        for plain in self.passes("plain"):
            for patched in self.passes("patched"):
                if patched.repeat == plain.repeat:
                    yield plain, patched

    @property
    def pairs_due(self) -> int:
        """How many pairs there must be."""
        return self.part.repeat * len(self.part.installs())

    @property
    def last_words(self) -> str:
        """The most useful text for finding the cause: a traceback, else the last lines on stderr."""
        words = self.exit.last_words if self.exit else ""
        tail = words if isinstance(words, str) else "\n".join(words)
        return (self.error.traceback if self.error and self.error.traceback else tail).strip()
