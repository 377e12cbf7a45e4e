"""Mutants as test cases: each passes that ended as its header says."""

from __future__ import annotations

from collections.abc import Iterator

from patchkit.gates.mutants_evidence import MutantsEvidence
from patchkit.report.cases import Judged, JudgedCase, Suite, on, place, some
from patchkit.report.mutants import phrases
from patchkit.report.phrases import headline


def of_mutants(evidence: MutantsEvidence) -> Judged:
    """The gates without a mutant, and the mutants."""
    suites = some(
        Suite(f"gates without a mutant on {place(evidence)}", list(_control(evidence))),
        Suite(f"mutants on {place(evidence)}", list(_mutants(evidence))),
    )
    return Judged(headline(evidence), "; ".join(phrases.sentences(evidence)), evidence.passed, suites, evidence)


def _control(evidence: MutantsEvidence) -> Iterator[JudgedCase]:
    for gate in evidence.control:
        why = "" if gate.passed else gate.reason
        yield JudgedCase(
            place(evidence), gate.gate, gate.passed, gate.seconds, why, gate.reason, f"{gate.gate} {on(evidence)}"
        )


def _mutants(evidence: MutantsEvidence) -> Iterator[JudgedCase]:
    wrong = phrases.not_fine(evidence)
    for one in (*(one for one in evidence.mutants if one not in wrong), *wrong):  # the survivors before others
        passed = phrases.mark(one) == "✓"
        yield JudgedCase(
            group=f"{place(evidence)}.mutants.{one.family}",
            name=one.mutant,
            passed=passed,
            seconds=one.seconds,
            message="" if passed else f"{one.what}: {phrases.outcome(one)}",
            details=one.what,
            title=f"mutant {one.mutant} {on(evidence)}",
        )
