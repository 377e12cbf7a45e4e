"""Throughput evidence on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from patchkit.bench.throughput_evidence import ThroughputEvidence, ThroughputRow
from patchkit.console import wide
from patchkit.gates.events import Profile
from patchkit.report.throughput import phrases

SHOWN = 15
"""Rows of a profile; Markdown and pages have all of them."""
STYLES = {"alive": "green", "dead": "red", "error": "red"}


def show_text(evidence: ThroughputEvidence, console: Console) -> None:
    """Everything."""
    console.print(phrases.title(evidence), markup=False)
    wide(console).print(_table(evidence))
    for row in evidence.rows:
        if row.why:
            line = escape(f"{phrases.load(row)}: {row.why}")
            console.print(f"[{STYLES[row.standing]}]{row.standing}[/] {line}")
    for memory in phrases.memory_lines(evidence):
        console.print(memory, markup=False)
    for name, profile in phrases.profiles(evidence):
        console.print(phrases.profile_title(name, profile), markup=False)
        wide(console).print(_profile_table(profile))


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
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("mode", "settings", "prompts x samples", "rows", "plain, tokens/s", "runtime, tokens/s"):
        right = "/" in column or column == "rows"
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    by_cpu_time = phrases.by_cpu_time(evidence)
    for column in (
        "ratio to the fastest plain",
        *(["by CPU time"] if by_cpu_time else []),
        "same mode",
        "peak GiB",
        "",
    ):
        table.add_column(column, no_wrap=True)
    for row in evidence.rows:
        table.add_row(
            row.mode,
            escape(row.settings),
            f"{row.prompts}x{row.samples}",
            f"{row.rows:,}",
            phrases.plain_rate(row),
            phrases.patched_rate(row),
            escape(phrases.ratio(row.ratio)),
            *([escape(phrases.ratio(row.cpu_ratio))] if by_cpu_time else []),
            escape(phrases.ratio(row.same_mode)),
            phrases.peak(row),
            f"[{STYLES[row.standing]}]{row.standing}[/]",
        )
    return table


def _profile_table(found: Profile) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("µs", justify="right")
    table.add_column("calls", justify="right")
    table.add_column("on")
    table.add_column("what", no_wrap=True, overflow="ellipsis")
    for row in found.rows[:SHOWN]:
        table.add_row(f"{row.microseconds:,.1f}", f"{row.calls:g}", row.where, escape(row.name))
    return table
