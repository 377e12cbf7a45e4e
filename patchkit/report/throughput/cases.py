"""Throughput as test cases: every row passes that is a figure."""

from __future__ import annotations

from patchkit.bench.throughput_evidence import ThroughputEvidence
from patchkit.report.cases import Judged, JudgedCase, Suite, on, place
from patchkit.report.throughput import phrases


def of_throughput(evidence: ThroughputEvidence) -> Judged:
    """A case a row, which fails if the runtime was dead, whatever its speed; and one for a run that was cut short."""
    cases = [
        JudgedCase(
            group=f"{place(evidence)}.throughput",
            name=phrases.load(row),
            passed=row.standing == "alive",
            message="" if row.standing == "alive" else f"{row.standing}: {row.why}",
            title=f"throughput of {phrases.load(row)} {on(evidence)}",
        )
        for row in evidence.rows
    ]
    if not evidence.finished or not cases:
        why = "stopped before its end: not every row was measured" if cases else "no row was measured"
        cases.append(
            JudgedCase(
                group=f"{place(evidence)}.throughput",
                name="measured to its end",
                passed=False,
                message=why,
                title=f"throughput {on(evidence)}",
            )
        )
    suites = [Suite(f"throughput on {place(evidence)}", cases)]
    return Judged(phrases.title(evidence), phrases.verdict(evidence), evidence.passed, suites, evidence)
