"""Throughput evidence on a terminal."""

from __future__ import annotations

from itertools import islice

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from patchkit.bench.throughput_evidence import ThroughputEvidence, ThroughputRow
from patchkit.gates.events import StepTime
from patchkit.report import tables
from patchkit.report.throughput import phrases

SHOWN = 15
"""Rows of a profile; Markdown and pages have all of them."""
STYLES = {"alive": "green", "dead": "red", "error": "red"}


def show_text(evidence: ThroughputEvidence, console: Console) -> None:
    """Everything."""
    console.print(phrases.title(evidence), markup=False)
    tables.show(_table(evidence), console)
    for row in evidence.rows:
        if row.why:
            line = escape(f"{phrases.load(row)}: {row.why}")
            console.print(f"[{STYLES[row.standing]}]{row.standing}[/] {line}")
    for memory in phrases.memory_lines(evidence):
        console.print(memory, markup=False)
    for title, profile in phrases.profiles(evidence):
        console.print(title, markup=False)
        tables.show(_profile_table(profile), console)


def row_line(row: ThroughputRow) -> str:
    """One row as soon as it is known, in rich's markup."""
    name = escape(f"{row.mode:6} {row.settings}  {row.prompts}x{row.samples}")
    if row.standing != "alive":
        return f"[red]✗[/red] {name}  [red]{row.standing}[/red]: {escape(row.why)}"
    same = f", same mode {phrases.ratio(row.same_mode)}" if row.mode != row.fastest else ""
    by_cpu_time = f", by CPU time {phrases.ratio(row.cpu_ratio)}" if row.cpu_ratio else ""
    figures = f"{phrases.ratio(row.ratio)} x plain vLLM, {row.fastest}{same}{by_cpu_time}"
    return f"[green]✓[/green] {name}  {escape(figures)}  {phrases.rate(row.patched)} tokens/s"


def _table(evidence: ThroughputEvidence) -> Table:
    compared, numbers = phrases.comparisons(evidence), ("rows", *phrases.RATES)
    columns = (*phrases.LOAD, *numbers, *compared, "peak GiB", "standing")
    right = (*numbers, phrases.BY_DEVICE_TIME, phrases.SPREAD)
    table = tables.plain(*columns, right=right, whole=(*compared, "peak GiB"))
    for row in evidence.rows:
        table.add_row(
            row.mode,
            escape(row.settings),
            f"{row.prompts}x{row.samples}",
            f"{row.rows:,}",
            phrases.plain_rate(row),
            phrases.patched_rate(row),
            *map(escape, phrases.compared(evidence, row, compared)),
            phrases.peak(row),
            f"[{STYLES[row.standing]}]{row.standing}[/]",
        )
    return table


def _profile_table(found: StepTime) -> Table:
    table = tables.plain(*phrases.PROFILE, right=phrases.PROFILE[:2], whole=["what"])
    for cells in islice(phrases.profile_rows(found), SHOWN):
        table.add_row(*map(escape, cells))
    return table
