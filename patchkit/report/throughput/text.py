"""Throughput evidence on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from patchkit.bench.throughput_evidence import StepProfile, ThroughputEvidence, ThroughputRow
from patchkit.console import wide
from patchkit.gates.events import Profile
from patchkit.report.throughput import wording

STYLES = {"alive": "green", "dead": "red", "error": "red"}


def show_text(evidence: ThroughputEvidence, console: Console) -> None:
    """Everything."""
    console.print(wording.title(evidence), markup=False)
    wide(console).print(_table(evidence))
    for row in evidence.rows:
        if row.why:
            name = f"{row.mode} {row.settings} {row.prompts}x{row.samples}"
            console.print(f"[{STYLES[row.standing]}]{row.standing}[/] {escape(f'{name}: {row.why}')}")
    for line in _memory(evidence):
        console.print(line, markup=False)
    for profile in evidence.profiles:
        _show_profile(profile, console)


def row_line(row: ThroughputRow) -> str:
    """One row as soon as it is known, in rich's markup."""
    name = escape(f"{row.mode:6} {row.settings}  {row.prompts}x{row.samples}")
    if row.standing != "alive":
        return f"[red]✗[/red] {name}  [red]{row.standing}[/red]: {escape(row.why)}"
    same = f", same mode {wording.ratio(row.same_mode)}" if row.mode != row.fastest else ""
    figures = f"{wording.ratio(row.ratio)} x plain vLLM, {row.fastest}{same}"
    return f"[green]✓[/green] {name}  {escape(figures)}  {wording.rate(row.patched)} tokens/s"


def _table(evidence: ThroughputEvidence) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("mode", "settings", "prompts x samples", "rows", "plain, tokens/s", "runtime, tokens/s"):
        table.add_column(column, justify="right" if "/" in column or column == "rows" else "left")
    for column in ("ratio to the fastest plain", "same mode", "peak GiB", ""):
        table.add_column(column, no_wrap=True)
    for row in evidence.rows:
        table.add_row(
            row.mode,
            escape(row.settings),
            f"{row.prompts}x{row.samples}",
            f"{row.rows:,}",
            wording.plain_rate(row),
            wording.rate(row.patched),
            escape(wording.ratio(row.ratio)),
            escape(wording.ratio(row.same_mode)),
            wording.peak(row),
            f"[{STYLES[row.standing]}]{row.standing}[/]",
        )
    return table


def _memory(evidence: ThroughputEvidence) -> Iterator[str]:
    for one in evidence.memory:
        points = ", ".join(f"{point.steps:,}: {point.used / 2**20:,.1f}" for point in one.points)
        yield f"MiB in use after steps, {one.mode} {one.settings} {one.prompts}x{one.samples}: {points}"


def _show_profile(profile: StepProfile, console: Console) -> None:
    for side, found in (("plain", profile.plain), ("runtime", profile.patched)):
        if found is None:
            continue
        name = f"{profile.mode} {profile.settings} {profile.prompts}x{profile.samples}, {side}"
        console.print(f"µs a step, {name}: device {found.device:,.0f}, host {found.host:,.0f}", markup=False)
        wide(console).print(_profile_table(found))


def _profile_table(found: Profile) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("µs", justify="right")
    table.add_column("calls", justify="right")
    table.add_column("on")
    table.add_column("what", no_wrap=True, overflow="ellipsis")
    for row in found.rows:
        table.add_row(f"{row.microseconds:,.1f}", f"{row.calls:g}", row.where, escape(row.name))
    return table
