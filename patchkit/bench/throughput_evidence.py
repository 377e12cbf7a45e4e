"""Evidence of ``bench throughput``: every run's seconds and tokens, and what follows from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from patchkit.files import read_as
from patchkit.gates.events import StepTime
from patchkit.gates.evidence import Circumstances


class Timing(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One run of one load: seconds and generated tokens, what the worker counted, and the runtime's counters of it.

    ``cpu_seconds``: how long its process was on a core, all threads together.
    """

    seconds: float
    tokens: int
    cpu_seconds: float = 0.0
    decode_rows: int = 0
    decode_steps: int = 0
    counters: dict[str, Any] | None = None

    @property
    def rate(self) -> float:
        """Tokens/s."""
        return self.tokens / self.seconds


class Ratio(msgspec.Struct, kw_only=True):
    """The runtime's tokens/s over plain vLLM's, pair by pair: median, and an interval that is ``confidence`` sure."""

    median: float
    low: float
    high: float
    confidence: float
    pairs: int


class ThroughputRow(msgspec.Struct, kw_only=True):
    """One load under one set of settings in one mode.

    Attributes:
        plain: runs of plain vLLM by mode; run i of each is of pair i, as is run i of ``patched``.
        fastest: the mode of the plain vLLM that was fastest.
        ratio: to that; ``same_mode``: to plain vLLM in this row's mode. None unless it is alive.
        cpu_ratio: on a CPU, ``ratio`` by the time that each process was on a core: what others on the machine take is
            not in it.
        uninstalled: if asked for, of the runtime's engine after ``uninstall()``, to plain vLLM in this row's mode.
        standing: ``dead``: the runtime was not at work, so that its speed means nothing; ``error``: it did not run.
        why: of a row that is not alive, one line.
        plain_peak, patched_peak: bytes of memory at the peak, over the runs that count.
    """

    mode: str
    settings: str
    given: dict[str, Any]
    prompts: int
    samples: int
    standing: Literal["alive", "dead", "error"]
    why: str = ""
    plain: dict[str, list[Timing]] = msgspec.field(default_factory=dict)
    patched: list[Timing] = msgspec.field(default_factory=list)
    fastest: str = ""
    ratio: Ratio | None = None
    same_mode: Ratio | None = None
    cpu_ratio: Ratio | None = None
    uninstalled: Ratio | None = None
    plain_peak: int = 0
    patched_peak: int = 0

    @property
    def rows(self) -> int:
        """Samples in flight."""
        return self.prompts * self.samples


class StepProfile(msgspec.Struct, kw_only=True):
    """Where a step's time goes, of one load: in plain vLLM, or with the runtime."""

    mode: str
    settings: str
    prompts: int
    samples: int
    plain: StepTime | None = None
    patched: StepTime | None = None


class MemoryPoint(msgspec.Struct, kw_only=True):
    """Memory in use after so many decode steps, in bytes."""

    steps: int
    used: int
    peak: int


class MemoryOverSteps(msgspec.Struct, kw_only=True):
    """Memory of one engine with the runtime while it decodes."""

    mode: str
    settings: str
    prompts: int
    samples: int
    points: list[MemoryPoint]


class ThroughputEvidence(Circumstances, kw_only=True):
    """One run of ``bench throughput``; see docs/throughput.md.

    Attributes:
        unproven: why the gates did not admit it, if it was measured all the same.
        finished: everything was measured that was asked for; rows are kept as they are measured.
        engines: what vLLM made of its settings, by ``plain MODE`` or ``MODE SETTINGS``.
    """

    kind: Literal["throughput"] = "throughput"
    unproven: str = ""
    gates: str = ""
    model: str
    random_weights: bool
    tokens: int
    pairs: int
    modes: list[str]
    prompt: dict[str, Any]
    sampling: dict[str, Any]
    finished: bool = False
    engines: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    rows: list[ThroughputRow] = msgspec.field(default_factory=list)
    profiles: list[StepProfile] = msgspec.field(default_factory=list)
    memory: list[MemoryOverSteps] = msgspec.field(default_factory=list)

    @property
    def passed(self) -> bool:
        """All of it was measured, and every row of it is a figure."""
        return self.finished and bool(self.rows) and all(row.standing == "alive" for row in self.rows)


def read_throughput(path: Path) -> ThroughputEvidence:
    """Read it back; a PatchkitError of one line for a file that is none."""
    return read_as(ThroughputEvidence, path, "evidence of bench throughput")
