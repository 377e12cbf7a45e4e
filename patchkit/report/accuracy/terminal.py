"""For a terminal: the verdict first, then its reasons."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from patchkit.bench.accuracy_evidence import AccuracyEvidence
from patchkit.console import out
from patchkit.evals.probe_figures import shown
from patchkit.evals.records import Outcome
from patchkit.report.accuracy import numbers, phrases, verdict, view
from patchkit.report.accuracy.view import Comparison

STYLES: dict[Outcome, str] = {
    "token and trajectory headroom": "green",
    "trajectory headroom only": "green",
    "harmful": "red",
    "saturated": "",
    "not resolved": "yellow",
}


def show_text(evidence: AccuracyEvidence, console: Console = out) -> None:
    """Print it; lines are not wrapped, so that they can be searched."""
    for line in _lines(view.printable(evidence)):
        console.print(line, soft_wrap=True)


def _lines(evidence: AccuracyEvidence) -> Iterator[Text]:
    if evidence.unproven:
        yield Text(f"! unproven: {phrases.unproven(evidence)}", "bold red")
    if ungraded := phrases.ungraded(evidence):
        yield Text(f"! {ungraded}", "bold red")
    yield Text(verdict.verdict(evidence), "bold")
    yield Text(f"pass@k: {phrases.subject(evidence)}", "dim")
    rows = view.comparisons(evidence)
    width = max((len(phrases.title(evidence, row)) for row in rows), default=0)
    for row in rows:
        yield from _cell(row, phrases.title(evidence, row).ljust(width))
    for doubt in verdict.doubts(evidence):
        yield Text(f"! {doubt}", "yellow")
    for line in (*verdict.advice(evidence), verdict.resolution(evidence), verdict.multiple_comparisons(evidence)):
        if line:
            yield Text(line)


def _cell(row: Comparison, title: str) -> Iterator[Text]:
    """The outcome; below it both rates, then what else was seen."""
    if row.judgement:
        sign, style = phrases.OUTCOMES[row.outcome][0], STYLES[row.outcome]
        yield Text.assemble((f"{sign:<2} {title}", "bold"), "  ", (row.outcome, style), f", {row.judgement.advice}")
    else:
        yield Text.assemble((f"·  {title}", "bold"), f"  {phrases.ONE_LEFT}")
    for k in view.ends(row.cell.n):
        change = row.change(k)
        rates = (
            f"{numbers.percent(change.before):>6} → {numbers.percent(change.after):>6}"
            if change
            else numbers.rate(row.rate(k))
        )
        more = f"  {numbers.difference(change)}, noise {numbers.noise(change)}" if change else ""
        yield Text(f"   {f'pass@{k}':<8} {rates}{more}")
    if row.judgement:
        moved = ", ".join(numbers.moves(row.judgement.solved))
        yield Text(f"   gained, lost {moved}; tokens/s {numbers.ratio(row.throughput)}", "dim")
    if counts := phrases.unread(row):
        each = ", ".join(f"{mode} {count}" for mode, count in counts.items())
        yield Text(f"   {phrases.UNREAD}: {each}", "dim")
    for one in row.seen:
        yield Text(f"   {shown(one)}", "dim") if one.met else Text(f"   ! {shown(one)}", "yellow")
