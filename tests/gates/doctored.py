"""Runs to be doctored: faultless ones, with any field changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from patchkit.gates.events import Exit, Result, Step
from patchkit.gates.run import Run
from patchkit.gates.scenario import Part, Scenario, load_scenario

FAKE_WORKER = Path(__file__).parent / "fake_worker.py"
ROWS = 4


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
    """A faultless step of ``rows`` decode rows, with ``changes`` to its fields, its runtime's or its gold's."""
    shape = {
        "requests": max(rows, 1),
        "decode_rows": rows,
        "decode_rows_before": rows,
        "prefill_tokens": 0 if rows else 9,
    }
    shape["recomputed_tokens"] = 0
    runtime = dict.fromkeys(("decode_rows", "captured_rows", "intervened_rows"), rows)
    runtime |= {"unmapped_rows": 0, "port_hits": int(rows > 0), "distiller_steps": int(rows > 0)}
    runtime |= {"candidate_tokens": rows * 10, "moved_tokens": rows * 9, "loss": 2.0 / (number + 1)}
    gold = {"compared": rows, "mismatched": 0, "miscredited": 0, "identity_loss": 2.0}
    gold |= {"first_mismatch": None, "first_miscredit": None}
    step = {
        "event": "step",
        "run": "r",
        "pass": "patched",
        "step": number,
        "shape": shape,
        "runtime": runtime,
        "gold": gold,
    }
    for name, value in changes.items():
        place = next((place for place in (step, shape, runtime, gold) if name in place), step)
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
        names = ("decode_rows", "captured_rows", "intervened_rows", "distiller_steps", "unmapped_rows")
        passes = [make_pass(counters={name: sum(step.of(name) for step in steps) for name in names})]
    told = {"event": "result", "run": "r", "passes": passes, **result}
    return Run(part, {"beta": 0.8}, list(steps), msgspec.convert(told, Result), exit=Exit("r", code=0))
