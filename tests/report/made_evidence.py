"""Verdicts, knock-outs and evidence to report on."""

from __future__ import annotations

from patchkit.gates.events import BatchShape
from patchkit.gates.evidence import Brief, Evidence, Hardware, Knockout, PartVerdict, RuntimeUsed, Verdict, Versions

PATCHES = ["0005-Learn-ids", "0007-Clear-the-tail"]
SYMPTOM = "drain: IndexError | rows <past> the *tensor*: 100%"


def green(scenario: str, **figures: float | int | str | None) -> Verdict:
    return Verdict(scenario=scenario, passed=True, seconds=1.25, figures=figures)


def red(scenario: str, reason: str = SYMPTOM) -> Verdict:
    part = PartVerdict(name="drain", passed=False, broken=[reason], last_words="last \x1b[31mwords\x00")
    return Verdict(
        scenario=scenario,
        passed=False,
        reason=reason,
        step=17,
        shape=BatchShape(requests=8, decode_rows=8, decode_rows_before=9),
        resembles="drift 7 (0007-Clear-the-tail)",
        parts=[part],
    )


def evidence_of(kind: str, verdicts: list[Verdict], knockouts: list[Knockout] | None = None) -> Evidence:
    return Evidence(
        kind=kind,  # type: ignore[arg-type]
        command=f"patchkit {kind} --vllm 0.20.0",
        began="2026-11-22T10:00:00+00:00",
        seconds=66.1,
        release="0.20.0",
        device="cpu",
        runtime=RuntimeUsed(name="esamp", pin="0753033777931d03", patches=PATCHES),
        versions=Versions(python="3.11.7", torch="2.11.0", vllm="0.20.0"),
        hardware=Hardware(cpu="A CPU", cores=2, memory_gib=23.5),
        verdicts=verdicts,
        knockouts=knockouts or [],
    )


def without(patch: str, caught_by: str, expected: str, **passed: bool) -> Knockout:
    return Knockout(
        patch=patch,
        caught=bool(caught_by),
        by=caught_by or None,
        reason="rows belong to no request" if caught_by else f"{expected} is green",
        expected=f"{expected}: belong to no request",
        named=[expected],
        verdicts={gate: Brief(passed=fine, reason="" if fine else "broken") for gate, fine in passed.items()},
    )
