"""Made-up evidence of ``bench throughput``: two loads of which one set of settings is alive, one dead, one broken."""

from __future__ import annotations

from typing import Any

from made_evidence import evidence_of
from msgspec import structs

from patchkit.bench.throughput_evidence import (
    MemoryOverSteps,
    MemoryPoint,
    Ratio,
    StepProfile,
    ThroughputEvidence,
    ThroughputRow,
    Timing,
)
from patchkit.gates.events import ProfileRow, StepTime

DEAD = "the runtime was not at work in pair 1: hits is 0 of 127 steps with decode rows"


def ratio(median: float) -> Ratio:
    return Ratio(median=median, low=median - 0.004, high=median + 0.005, confidence=0.96875, pairs=6)


def row(samples: int, **changes: Any) -> ThroughputRow:
    """A row that is alive, in graphs."""
    known: dict[str, Any] = {
        "mode": "graphs",
        "settings": "strength=2",
        "given": {"strength": 2},
        "prompts": 8,
        "samples": samples,
        "standing": "alive",
        "plain": {mode: [Timing(seconds=seconds, tokens=1000)] * 6 for mode, seconds in (("eager", 2), ("graphs", 1))},
        "patched": [Timing(seconds=1.04, tokens=1000, counters={"hits": 127})] * 6,
        "fastest": "graphs",
        "ratio": ratio(0.96),
        "same_mode": ratio(0.96),
        "plain_peak": 2**30,
        "patched_peak": 2**30 * 3 // 2,
    }
    return ThroughputRow(**{**known, **changes})


def throughput() -> ThroughputEvidence:
    """Four rows, of which two are figures."""
    base = structs.asdict(evidence_of("gate", []))
    fields = {name: base[name] for name in ("command", "began", "seconds", "release", "device", "runtime", "hardware")}
    lost = {"ratio": None, "same_mode": None}
    kernels = [ProfileRow("gemm<128>", "device", 11.0, 2.0, 1), ProfileRow("adam", "device", 1.5, 1.0, 2)]
    found = StepTime(12.5, 950.0, kernels, [11.0, 1.5])
    where: dict[str, Any] = {"mode": "graphs", "settings": "strength=2", "prompts": 8, "samples": 2}
    return ThroughputEvidence(
        **fields,
        model="qwen2.5-7b",
        random_weights=True,
        tokens=128,
        pairs=6,
        modes=["eager", "graphs"],
        finished=True,
        prompt={"kind": "random", "tokens": 24},
        sampling={"temperature": 0.8},
        rows=[
            row(2),
            row(16, ratio=ratio(0.98), same_mode=ratio(0.98), cpu_ratio=ratio(0.91)),
            row(2, settings="strength=3", standing="dead", why=DEAD, **lost),
            row(
                2,
                mode="eager",
                standing="error",
                why="RuntimeError: no <graphs>",
                plain={},
                patched=[],
                fastest="",
                patched_peak=0,
                **lost,
            ),
        ],
        profiles=[StepProfile(**where, plain=found, patched=found)],
        memory=[MemoryOverSteps(**where, points=[MemoryPoint(steps=127, used=2**30, peak=2**31)])],
    )
