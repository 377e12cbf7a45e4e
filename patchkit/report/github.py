"""Workflow commands that GitHub shows beside a run."""

from __future__ import annotations

from collections.abc import Iterator

from patchkit.gates.evidence import Evidence
from patchkit.report import patches_needed, phrases


def render(evidence: Evidence) -> str:
    return "".join(f"{line}\n" for line in lines(evidence))


def lines(evidence: Evidence) -> Iterator[str]:
    """Errors first."""
    on = f"on vLLM {evidence.release}, {evidence.device}{phrases.second(evidence)}"
    for verdict in evidence.verdicts:
        if not verdict.passed:
            yield command("error", f"{verdict.scenario} {on}", phrases.explained(verdict))
    for knocked in evidence.knockouts:
        if not knocked.caught:
            yield command("error", f"without {knocked.patch} {on}", phrases.outcome(knocked))
    for row in patches_needed.rows(evidence):
        if row.state in ("harmful", "no longer needed"):
            said = "; ".join(filter(None, (row.why, row.advice)))
            yield command("warning", f"{row.patch} {on} is {row.state}", said)
    level = "notice" if evidence.passed else "error"
    yield command(level, phrases.headline(evidence), "; ".join(phrases.sentences(evidence)))


def command(level: str, title: str, message: str) -> str:
    """``::error title=…::…`` on one line, escaped as GitHub's runner undoes it."""
    return f"::{level} title={escaped(title).replace(':', '%3A').replace(',', '%2C')}::{escaped(message)}"


def escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
