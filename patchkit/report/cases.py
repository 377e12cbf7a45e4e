"""Evidence as test cases: what JUnit XML and GitHub's annotations are made of, the same for every kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from patchkit.gates.evidence import Circumstances, Evidence
from patchkit.report import patches_needed, phrases

Level = Literal["error", "warning", "notice"]


@dataclass(frozen=True)
class JudgedCase:
    """One thing that passed or did not.

    Attributes:
        group: the dotted name of what the case belongs to, as JUnit's ``classname``.
        message: why it did not pass, in a line; empty if it did.
        details: more of it, in lines.
        title: what an annotation calls it.
        level: of that annotation.
    """

    group: str
    name: str
    passed: bool
    seconds: float = 0.0
    message: str = ""
    details: str = ""
    title: str = ""
    level: Level = "error"


@dataclass(frozen=True)
class Suite:
    """Cases of one kind."""

    name: str
    cases: list[JudgedCase]


@dataclass(frozen=True)
class Judged:
    """One file of evidence.

    Attributes:
        about: when and on what it was made, as far as that is known.
        warnings: titles and texts of what is no failure and must be known.
    """

    title: str
    verdict: str
    passed: bool
    suites: list[Suite]
    about: Circumstances | None = None
    warnings: list[tuple[str, str]] = field(default_factory=list)


def place(evidence: Circumstances) -> str:
    """``RUNTIME.vllm-0.20.0.cpu``, and ``.v2`` behind it for the second model runner, ``.graphs`` for graphs."""
    runner = "" if evidence.runner == "v1" else f".{evidence.runner}"
    mode = "" if evidence.mode == "eager" else f".{evidence.mode}"
    return f"{evidence.runtime.name}.vllm-{evidence.release}.{evidence.device}{runner}{mode}"


def on(evidence: Circumstances) -> str:
    """``on vLLM 0.20.0, cpu``: at the end of an annotation's title."""
    return f"on vLLM {evidence.release}, {evidence.device}{phrases.second(evidence)}"


def some(*suites: Suite) -> list[Suite]:
    """Those that have a case."""
    return [suite for suite in suites if suite.cases]


def of_gates(evidence: Evidence) -> Judged:
    """Gates, and patches that were left out."""
    suites = some(
        Suite(f"{evidence.kind} on {place(evidence)}", list(_gates(evidence))),
        Suite(f"knock-outs on {place(evidence)}", list(_knockouts(evidence))),
    )
    said = "; ".join(phrases.sentences(evidence))
    warnings = list(_warnings(evidence, patches_needed.rows(evidence)))
    return Judged(phrases.headline(evidence), said, evidence.passed, suites, evidence, warnings)


def _gates(evidence: Evidence) -> Iterator[JudgedCase]:
    for verdict in evidence.verdicts:
        yield JudgedCase(
            group=place(evidence),
            name=verdict.scenario,
            passed=verdict.passed,
            seconds=verdict.seconds,
            message="" if verdict.passed else phrases.explained(verdict),
            details="\n".join([*verdict.reasons, phrases.last_words(verdict)]),
            title=f"{verdict.scenario} {on(evidence)}",
        )


def _knockouts(evidence: Evidence) -> Iterator[JudgedCase]:
    for knocked in evidence.knockouts:
        found = "\n".join(f"{gate}: {brief.reason or 'green'}" for gate, brief in knocked.verdicts.items())
        need = f"{knocked.need}: {knocked.need_why}" if knocked.need else ""
        yield JudgedCase(
            group=f"{place(evidence)}.knockout",
            name=knocked.patch,
            passed=knocked.caught,
            seconds=knocked.seconds,
            message="" if knocked.caught else phrases.outcome(knocked),
            details="\n".join(filter(None, (found, need, patches_needed.advice(knocked)))),
            title=f"without {knocked.patch} {on(evidence)}",
        )


def _warnings(evidence: Evidence, needs: Sequence[patches_needed.PatchNeed]) -> Iterator[tuple[str, str]]:
    for row in needs:
        if row.state in ("harmful", "no longer needed"):
            said = "; ".join(filter(None, (row.why, row.advice)))
            yield f"{row.patch} {on(evidence)} is {row.state}", said
