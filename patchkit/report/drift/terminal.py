"""Drifts for a terminal: the verdict first, then every break with both places, then the other changes."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from patchkit.console import out, tick
from patchkit.drift.drift import Drift, verdict
from patchkit.drift.findings import Finding
from patchkit.plural import counted
from patchkit.report import tables
from patchkit.report.drift import adopted_patches
from patchkit.report.drift.adopted_patches import short
from patchkit.report.phrases import series

COLOURS = {"silent": "bold red", "loud": "red", "look": "yellow", "harmless": "dim"}


def show(drift: Drift) -> None:
    out.print(headline(drift))
    for finding in drift.findings:
        if finding.breaks:
            _show_break(finding)
    rest = [finding for finding in drift.findings if not finding.breaks]
    for severity in ("look", "harmless"):
        few = [finding for finding in rest if finding.severity == severity]
        if few:
            out.print()
            out.print(Text(_rest_title(severity, len(few)), "dim"))
            tables.show(_rest(few))
    for line in remarks(drift):
        out.print()
        out.print(Text(line, "yellow"))
    out.print()
    out.print(Text(f"patches that {drift.new.release} takes: {_patches(drift)}"))
    out.print(closing(drift))


def show_timeline(drifts: Sequence[Drift]) -> None:
    """Release by release: how much changed, and every break in a line."""
    heading = "".join(f"{name:<{width}}" for name, width in (("vLLM", 10), *((one, 10) for one in COLOURS)))
    out.print(Text(f"{heading}gates", "dim"))
    for drift in drifts:
        out.print(_step(drift))
        for finding in drift.findings:
            if finding.breaks:
                out.print(_line(finding), soft_wrap=not out.is_terminal)
        for line in adopted_patches.brief(drift.retired):
            out.print(Text(f"          {line}", "yellow"), soft_wrap=not out.is_terminal)
    broken = sum(bool(drift.breaks) for drift in drifts)
    left = [finding for drift in drifts for finding in drift.unpatched]
    unpatched = f"{len(left)} unpatched" if left else "every break is fixed, as far as sources can tell"
    out.print(tick(not left).append(f"{counted(len(drifts), 'release')}, {broken} with a break; {unpatched}", "bold"))


def remarks(drift: Drift) -> list[str]:
    """What is not a finding, but must be known."""
    dead = f"no hook fires by default in vLLM {drift.new.release} for {'; '.join(drift.dead)}"
    retired = adopted_patches.lines(drift.retired, drift.new.release, drift.runtime)
    return [*([dead] if drift.dead else []), *retired]


def headline(drift: Drift) -> Text:
    """``drift: RUNTIME 878f027b with 8 patches on vLLM 0.20.2 → 0.28.0``."""
    subject = series(drift.runtime, drift.pin, len(drift.patches))
    return Text.assemble("drift: ", subject, f" on vLLM {drift.old.release} → ", (drift.new.release, "bold"))


def closing(drift: Drift) -> Text:
    """The verdict, and what would prove it."""
    worth = "" if drift.new.proven else "; only the gates can prove it"
    return tick(not drift.unpatched).append(verdict(drift), "bold").append(worth)


def _show_break(finding: Finding) -> None:
    out.print()
    head = Text(f"{finding.severity:<8}", COLOURS[finding.severity])
    out.print(head.append(f"{short(finding.symbol)}  ", "bold").append(finding.kind, "dim"))
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(min_width=9)
    grid.add_column(overflow="fold")
    grid.add_row("", Text(finding.sentence))
    grid.add_row(Text("        at", "dim"), Text(" → ".join(filter(None, (finding.old, finding.new)))))
    grid.add_row(Text("        by", "dim"), _fix(finding))
    if finding.guessed:
        grid.add_row(Text("   guessed", "dim"), Text(finding.guessed, "dim"))
    tables.show(grid)


def _fix(finding: Finding) -> Text:
    if finding.unpatched:
        perhaps = f", perhaps fixed by {', '.join(finding.perhaps_by)}" if finding.perhaps_by else ""
        return Text("unpatched", "red").append(perhaps).append(f": {finding.because}" if finding.because else "")
    return Text(", ".join(finding.fixed_by), "green").append(f": {finding.because}", "dim")


def _rest_title(severity: str, count: int) -> str:
    what = (
        "the contract is the same, the body is not: worth a look"
        if severity == "look"
        else "changed where the runtime does not depend on it"
    )
    return f"{count} {severity}: {what}"


def _rest(findings: Sequence[Finding]) -> Table:
    table = tables.plain("symbol", "what changed", "where", whole=["symbol"])
    for finding in findings:
        table.add_row(Text(short(finding.symbol)), Text(finding.sentence), Text(finding.new or finding.old, "dim"))
    return table


def _patches(drift: Drift) -> str:
    taken = ", ".join(name[:4] for name in drift.patches) or "none"
    return taken + (f" (not {', '.join(name[:4] for name in drift.left)})" if drift.left else "")


def _step(drift: Drift) -> Text:
    counts = drift.counts
    cells = Text(f"{drift.new.release:<10}", "bold")
    for severity in ("silent", "loud", "look", "harmless"):
        count = counts[severity]
        cells.append(f"{count or '·':<10}", COLOURS[severity] if count else "dim")
    return cells.append("proven" if drift.new.proven else "", "green")


def _line(finding: Finding) -> Text:
    """One break in one line: what follows a colon is left to the whole report."""
    fix = " ".join(name[:4] if name[:4].isdigit() else name for name in finding.fixed_by)
    perhaps = " ".join(name[:4] for name in finding.perhaps_by)
    tail = Text("  unpatched", "red").append(f", perhaps fixed by {perhaps}" if perhaps else "")
    if fix:
        tail = Text(f"  fixed by {fix}", "green")
    text = Text("          ").append(f"{finding.severity} ", COLOURS[finding.severity])
    return text.append(short(finding.symbol), "bold").append(f" {finding.brief}").append(tail)
