"""Made-up runs: faultless ones, with any field changed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from patchkit.gates.events import Exit, Result, Step
from patchkit.gates.part_run import Run
from patchkit.gates.scenario import Part, Scenario, load_scenario
from patchkit.series.manifest import Counter

FAKE_WORKER = Path(__file__).parent / "fake_worker.py"
ROWS = 4
COUNTERS = {
    "decode_rows": Counter("decode_rows", "rows that it found"),
    "seen_rows": Counter("decode_rows", "rows that it saw"),
    "hits": Counter("decode_steps", "steps in which it was called"),
    "candidates": Counter("positive", "tokens it could choose from"),
    "lost_rows": Counter("zero", "rows without an owner"),
    "score": Counter("any", "how it thinks it does"),
}


def make_runtime(**changes: Any) -> SimpleNamespace:
    """The manifest of a made-up runtime."""
    known: dict[str, Any] = {"name": "made_up", "start": "made_up:install", "defaults": {"strength": 0.8}}
    known |= {"developed_on": "0.10.1.1", "plugin": None, "served": None}
    known |= {"off": {"strength": 0}, "counters": COUNTERS, "probe": Path("/probe"), "gates": Path("/gates"), **changes}
    return SimpleNamespace(**known, idle_with=lambda settings: settings == known["off"])


def declare(*invariants: Any, **part: Any) -> dict[str, Any]:
    """A scenario as its YAML would give it."""
    prompts = {"kind": "random", "count": 1, "tokens": 8}
    whole = {"name": "p", "calls": [{"groups": [{"prompts": prompts, "max_tokens": 8}]}], "invariants": [*invariants]}
    return {"name": "made_up", "title": "Made up", "guards": "nothing", "parts": [{**whole, **part}]}


def make_part(*invariants: Any, **part: Any) -> Part:
    """A part with these invariants."""
    return load_scenario(declare(*(invariants or ("alive",)), **part)).parts[0]


def make_scenario(*invariants: Any, **part: Any) -> Scenario:
    """A scenario of one such part."""
    return load_scenario(declare(*(invariants or ("alive",)), **part))


def make_step(number: int, rows: int = ROWS, **changes: Any) -> Step:
    """A faultless step of ``rows`` decode rows, with ``changes`` to its fields, its shape, counters or sampling."""
    shape = {"requests": max(rows, 1), "decode_rows": rows, "decode_rows_before": rows}
    shape |= {"prefill_tokens": 0 if rows else 9, "recomputed_tokens": 0}
    runtime = {"decode_rows": rows, "seen_rows": rows, "hits": int(rows > 0), "candidates": rows * 10, "lost_rows": 0}
    runtime |= {"score": 0.5}
    sampling = {"checked": max(rows, 1), "greedy": 1, "drawn": max(rows, 1) - 1, "lone": 0, "unlike": None}
    step = {
        "event": "step",
        "run": "r",
        "pass": "patched",
        "step": number,
        "shape": shape,
        "runtime": runtime,
        "sampling": sampling,
        "observed": {},
        "poisoned": True,
    }
    for name, value in changes.items():
        place = next((place for place in (step, shape, runtime, sampling) if name in place), step)
        place[name] = value
    return msgspec.convert(step, Step)


def make_pass(kind: str = "patched", repeat: int = 0, **changes: Any) -> dict[str, Any]:
    """A finished pass of two prompts."""
    outputs = [
        {"prompt": prompt, "sample": 0, "token_ids": [5, 6, 7], "finish": "length", "correct": None}
        for prompt in range(2)
    ]
    calls = [{"seconds": 1.0, "generated_tokens": 6, "outputs": outputs}]
    return {"pass": kind, "repeat": repeat, "seconds": 1.0, "generated_tokens": 6, "calls": calls, **changes}


def make_run(
    part: Part, steps: list[Step] | None = None, passes: list[dict[str, Any]] | None = None, **result: Any
) -> Run:
    """A run that finished; by default faultless, a prefill and 23 decode steps."""
    if steps is None:
        steps = [make_step(0, 0), *(make_step(number) for number in range(1, 24))]
    if passes is None:
        passes = [make_pass(counters={name: sum(step.of(name) for step in steps) for name in COUNTERS})]
    sent = {"event": "result", "run": "r", "passes": passes, **result}
    result_ = msgspec.convert(sent, Result)
    return Run(part, make_runtime(), [{"strength": 0.8}], list(steps), result_, exit=Exit("r", code=0))
