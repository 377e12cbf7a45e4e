"""Sentences on mutants that all forms share."""

from __future__ import annotations

from collections.abc import Iterator

from patchkit.gates.mutants_evidence import GateRun, MutantRun, MutantsEvidence, score
from patchkit.plural import counted

COLUMNS = ("family", "run", "equivalent", "counted", "killed", "as stated", "survived", "unknown")


def sentences(evidence: MutantsEvidence) -> Iterator[str]:
    """The score, the mutants that were not killed as expected, and how many were run."""
    found = evidence.score
    if red := [gate.gate for gate in evidence.control if not gate.passed]:
        yield f"red without a mutant: {', '.join(red)}"
    if not evidence.mutants:
        yield "no mutant was judged"
        return
    percent = "" if found.percent is None else f" ({found.percent:g} %)"
    of_all = f"{found.killed} of {counted(found.counted, 'mutant')} killed{percent}"
    yield f"{of_all}, {found.as_stated} as their headers say"
    if wrong := [f"{name} {number}" for name, number in _not_fine(evidence)]:
        yield ", ".join(wrong)
    aside = (
        f", {counted(found.equivalent, 'equivalent one does', 'equivalent ones do')} not count"
        if found.equivalent
        else ""
    )
    chosen = f", chosen by {evidence.chosen}" if evidence.chosen else ""
    yield f"{found.run} of {found.there_are} run{chosen}{aside}"
    if waiting := evidence.needs_cuda:
        yield f"{counted(len(waiting), 'more needs', 'more need')} CUDA, not run here"


def _not_fine(evidence: MutantsEvidence) -> Iterator[tuple[str, int]]:
    found = evidence.score
    numbers = (("survived", found.survived), ("misattributed", found.misattributed), ("unknown", found.unknown))
    yield from ((name, number) for name, number in numbers if number)


def families(evidence: MutantsEvidence) -> list[list[str]]:
    """A row a family, as :data:`COLUMNS` has it, in the order of the mutants, and one for all."""
    names = dict.fromkeys(one.family for one in evidence.mutants)
    rows = [_family(name, [one for one in evidence.mutants if one.family == name]) for name in names]
    return [*rows, _family("all", evidence.mutants)] if rows else []


def _family(name: str, mutants: list[MutantRun]) -> list[str]:
    found = score(mutants, len(mutants))
    ended = (found.killed, found.as_stated, found.survived, found.unknown)
    return [name, *map(str, (found.run, found.equivalent, found.counted, *ended))]


def not_fine(evidence: MutantsEvidence) -> list[MutantRun]:
    """The mutants that did not end as expected, the survivors first."""
    return [*evidence.of("survived"), *evidence.of("misattributed"), *evidence.of("unknown")]


def outcome(one: MutantRun) -> str:
    """``killed by identity: …``, ``survived 9 gates, its header says …``."""
    if one.outcome == "killed":
        return f"killed by {one.by}: {one.reason}"
    if one.outcome == "equivalent":
        return f"equivalent: {one.equivalent}"
    if one.outcome == "misattributed":
        return f"misattributed: {one.by} is red: {one.reason}; its header says {header(one)}"
    if one.outcome == "survived":
        return f"survived {counted(len(one.gates), 'gate')}; its header says {header(one)}"
    at = f" at {one.by}" if one.by else ""
    return f"unknown{at}: {one.reason or 'it was not judged'}"


def header(one: MutantRun) -> str:
    return f"equivalent: {one.equivalent}" if one.equivalent else one.expected


def control(gate: GateRun) -> str:
    return "green" if gate.passed else f"red: {gate.reason}"


def mark(one: MutantRun) -> str:
    return "✓" if one.outcome in ("killed", "equivalent") else "✗"
