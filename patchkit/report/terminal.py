"""For a terminal: the verdict first, then its reasons."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from patchkit.console import out
from patchkit.gates.evidence import Evidence
from patchkit.report import knockouts, phrases, tables
from patchkit.report.knockouts import STYLES


def show(evidence: Evidence, console: Console = out) -> None:
    for sentence in phrases.sentences(evidence):
        console.print(Text(sentence, f"bold {'green' if evidence.passed else 'red'}"), soft_wrap=True)
    console.print(Text(phrases.headline(evidence)), soft_wrap=True)
    if evidence.verdicts:
        console.print()
        tables.show(verdicts(evidence), console)
    if evidence.knockouts:
        console.print()
        knockouts.show(evidence, console)
    found = figures(evidence)
    if found.row_count:
        console.print()
        tables.show(found, console)
    console.print()
    for name, value in phrases.circumstances(evidence).items():
        console.print(Text.assemble((f"{name}: ", "dim"), value), soft_wrap=True)


def verdicts(evidence: Evidence) -> Table:
    """A row a scenario; below a red one, what it resembles."""
    table = tables.plain(phrases.NAMES[evidence.kind], "verdict", "seconds", "why it is red", right=["seconds"])
    for verdict in evidence.verdicts:
        why = "" if verdict.passed else phrases.explained(verdict)
        table.add_row(Text(verdict.scenario), cell(phrases.mark(verdict.passed)), f"{verdict.seconds:.1f}", Text(why))
    return table


def figures(evidence: Evidence) -> Table:
    table = tables.plain(phrases.NAMES[evidence.kind], "figures")
    for verdict in evidence.verdicts:
        line = ", ".join(f"{name} {value}" for name, value in phrases.figures(verdict))
        if line:
            table.add_row(Text(verdict.scenario), Text(line))
    return table


def cell(mark: str) -> Text:
    return Text(mark, STYLES.get(mark.strip("[]"), ""))
