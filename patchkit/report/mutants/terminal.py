"""For a terminal: what is wrong first, the families, the score."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from patchkit.console import out, tick
from patchkit.gates.mutants_evidence import MutantsEvidence
from patchkit.report import tables
from patchkit.report.mutants import phrases
from patchkit.report.phrases import circumstances, headline


def show_text(evidence: MutantsEvidence, console: Console = out) -> None:
    show_score(evidence, console)
    console.print(Text(headline(evidence)), soft_wrap=True)
    console.print()
    show_found(evidence, console)
    for name, value in circumstances(evidence).items():
        console.print(Text.assemble((f"{name}: ", "dim"), value), soft_wrap=True)


def show_found(evidence: MutantsEvidence, console: Console = out) -> None:
    """Print every mutant that did not end as it must, whole, and a table of the families."""
    for one in phrases.not_fine(evidence):
        console.print(Text.assemble(tick(False), (one.mutant, "bold"), f" ({one.family}): {one.what}"), soft_wrap=True)
        console.print(Text(f"    {phrases.outcome(one)}"), soft_wrap=True)
    for gate in evidence.control:
        if not gate.passed:
            console.print(Text(f"{gate.gate} is red without a mutant: {gate.reason}", "red"), soft_wrap=True)
    rows = phrases.families(evidence)
    if rows:
        table = tables.plain(*phrases.COLUMNS, right=phrases.COLUMNS[1:])
        for row in rows:
            table.add_row(*row)
        tables.show(table, console)
        console.print()


def show_score(evidence: MutantsEvidence, console: Console = out) -> None:
    for sentence in phrases.sentences(evidence):
        console.print(Text(sentence, f"bold {'green' if evidence.passed else 'red'}"), soft_wrap=True)
