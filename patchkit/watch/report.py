"""What ``report.json`` of a tick holds: written by ``watch``, read by the promotion of a release and by the site."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import msgspec

from patchkit.files import read_as
from patchkit.model_runner import ModelRunner

Outcome = Literal["proven", "doubtful", "red", "unproven", "refused"]
"""Of a new release: every gate is green; green, but a break that the gates may not see is unpatched; a gate is red; no
gate was run to its end; the series does not apply."""

State = Literal["unfinished", "green", "attention"]


class WatchedGate(msgspec.Struct, kw_only=True):
    """What one gate said."""

    scenario: str
    passed: bool
    reason: str


class WatchedRun(msgspec.Struct, kw_only=True):
    """The gates with one model runner; ``evidence`` is the name of a file beside the report."""

    runner: ModelRunner
    outcome: Outcome
    why: str
    evidence: str | None
    gates: list[WatchedGate]


class WatchedRelease(msgspec.Struct, kw_only=True):
    """A new release; ``lock`` names a file beside the report, ``drift`` is as ``patchkit drift --json`` has it."""

    release: str
    uploaded: str | None
    outcome: Outcome | None
    why: str
    applies: bool | None
    left_over: int
    lock: str | None
    runs: list[WatchedRun]
    drift: dict[str, Any] | None


class WatchReport(msgspec.Struct, kw_only=True):
    """One look at the index and what came of it."""

    patchkit: str = "unknown"  # in a report that does not say which wrote it
    state: State
    verdict: str
    title: str
    digest: str
    dry_run: bool
    runtime: str
    pin: str
    device: str
    began: str
    seconds: float
    asked: str | None
    last_proven: str
    doing: str
    why: str
    proven: list[str]
    releases: list[WatchedRelease]


def to_json(report: WatchReport) -> str:
    return json.dumps(msgspec.to_builtins(report), indent=2, ensure_ascii=False) + "\n"


def read_report(path: Path) -> WatchReport:
    """A report that was written earlier.

    Raises:
        PatchkitError: the file cannot be read, or is something else.
    """
    return read_as(WatchReport, path, "a report of `patchkit watch`")
