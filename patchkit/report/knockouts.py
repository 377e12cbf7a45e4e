"""Knock-outs for a terminal: every patch, the matrix of patches and gates, whether the release needs each."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from patchkit.console import out, tick
from patchkit.gates.evidence import Evidence, Knockout, Verdict
from patchkit.plural import counted, shortened
from patchkit.report import patches_needed, phrases

STYLES = {"✓": "green", "✗": "red", "·": "dim"}
LEGEND = "✓ green   ✗ red   [✗] the gate that the patch's header names   · not run"


def show(evidence: Evidence, console: Console = out) -> None:
    """Print the result for every patch; nothing for evidence without knock-outs."""
    if not evidence.knockouts:
        return
    for knocked in evidence.knockouts:
        console.print(_outcome(knocked), soft_wrap=True)
    console.print()
    for line in _matrix(evidence):
        console.print(line, soft_wrap=True)
    patches_needed.show_needs(evidence, console)


def cell_line(left_out: str, verdict: Verdict) -> str:
    """One cell of the matrix, as it is known."""
    mark = "✓" if verdict.passed else f"✗ {shortened(verdict.reason)}"
    return f"{left_out or 'whole series'} on {verdict.scenario}: {mark}"


def show_run(evidence: Evidence, where: str) -> None:
    """At the end of ``patchkit knockout``: everything, the total, and where the evidence is."""
    show(evidence)
    out.print()
    red = [verdict.scenario for verdict in evidence.verdicts if not verdict.passed]
    if red:
        out.print(Text.assemble(("the whole series is red already: ", "bold red"), ", ".join(red)))
    caught = sum(knocked.caught for knocked in evidence.knockouts)
    total = f"{caught} of {counted(len(evidence.knockouts), 'patch', 'patches')} caught"
    needs = "".join(f"; {said}" for said in patches_needed.sentence(evidence))
    style = f"bold {'green' if evidence.passed else 'red'}"
    out.print(Text.assemble((total, style), f"{needs} in {evidence.seconds:.0f} s  ", (where, "dim")))


def _outcome(knocked: Knockout) -> Text:
    """Whether the series without a patch was caught, by which gate, for which reason."""
    if knocked.caught:
        line = f"without {knocked.patch}: {knocked.by} goes red\n"
        return Text.assemble(tick(True), line, (f"    {knocked.reason}", "dim"))
    expected = f"; expected {knocked.expected}" if knocked.expected else ""
    line = f"without {knocked.patch}: not caught"
    return Text.assemble(tick(False), (line, "bold"), f"\n    {knocked.reason}{expected}")


def _matrix(evidence: Evidence) -> Iterator[Text]:
    """Patch by gate, the gates' names stepped above their columns."""
    rows = list(phrases.matrix(evidence))
    width = max(len(patch) for patch, _ in rows) + 1
    yield Text("left out:")
    for number, gate in enumerate(phrases.gates_of(evidence)):
        yield Text(f"{'':{width}} {' │ ' * number} {gate}", "dim")
    caught = [None, *(knocked.caught for knocked in evidence.knockouts)]
    for (patch, cells), is_caught in zip(rows, caught, strict=True):
        line = Text(f"{patch:<{width}} ")
        for cell in cells:
            mark = cell.strip("[]")
            line.append(f"{cell:^3}", f"bold {STYLES[mark]}" if mark != cell else STYLES[mark])
        if is_caught is not None:
            line.append("  caught" if is_caught else "  not caught", "" if is_caught else "bold red")
        yield line
    yield Text(LEGEND, "dim")
