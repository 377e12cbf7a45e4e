"""Drifts for a terminal: the verdict first, then every break with both places, then the other changes."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from patchkit.console import out, wide
from patchkit.drift.drift import Drift, verdict
from patchkit.drift.findings import Finding
from patchkit.plural import counted
from patchkit.report.drift import adopted_patches
from patchkit.report.drift.adopted_patches import short
from patchkit.report.phrases import series

COLOURS = {"silent": "bold red", "loud": "red", "look": "yellow", "harmless": "dim"}


def show(drift: Drift) -> None:
    console = wide(out)
    console.print(headline(drift))
    for finding in drift.findings:
        if finding.breaks:
            _show_break(finding, console)
    rest = [finding for finding in drift.findings if not finding.breaks]
    for severity in ("look", "harmless"):
        few = [finding for finding in rest if finding.severity == severity]
        if few:
            console.print()
            console.print(Text(_rest_title(severity, len(few)), "dim"))
            console.print(_rest(few))
    for line in remarks(drift):
        console.print()
        console.print(Text(line, "yellow"))
    console.print()
    console.print(Text(f"patches that {drift.new.release} takes: {_patches(drift)}"))
    console.print(closing(drift))


def show_timeline(drifts: Sequence[Drift]) -> None:
    """Release by release: how much changed, and every break in a line."""
    console = wide(out)
    for drift in drifts:
        console.print(_step(drift))
        for finding in drift.findings:
            if finding.breaks:
                console.print(_line(finding), soft_wrap=not console.is_terminal)
        for line in adopted_patches.brief(drift.retired):
            console.print(Text(f"          {line}", "yellow"), soft_wrap=not console.is_terminal)
    broken = sum(bool(drift.breaks) for drift in drifts)
    left = [finding for drift in drifts for finding in drift.unpatched]
    mark = Text("✗ ", "red") if left else Text("✓ ", "green")
    unpatched = f"{len(left)} unpatched" if left else "every break is fixed, as far as sources can tell"
    console.print(mark.append(f"{counted(len(drifts), 'release')}, {broken} with a break; {unpatched}", "bold"))


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
    mark = Text("✗ ", "red") if drift.unpatched else Text("✓ ", "green")
    worth = "" if drift.new.proven else "; only the gates can prove it"
    return mark.append(verdict(drift), "bold").append(worth)


def _show_break(finding: Finding, console: Console) -> None:
    console.print()
    head = Text(f"{finding.severity:<8}", COLOURS[finding.severity])
    console.print(head.append(f"{short(finding.symbol)}  ", "bold").append(finding.kind, "dim"))
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(min_width=9)
    grid.add_column(overflow="fold")
    grid.add_row("", Text(finding.sentence))
    grid.add_row(Text("        at", "dim"), Text(" → ".join(filter(None, (finding.old, finding.new)))))
    grid.add_row(Text("        by", "dim"), _fix(finding))
    if finding.guessed:
        grid.add_row(Text("   guessed", "dim"), Text(finding.guessed, "dim"))
    console.print(grid)


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
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_column(overflow="fold", style="dim")
    for finding in findings:
        grid.add_row(f"  {short(finding.symbol)}", finding.sentence, finding.new or finding.old)
    return grid


def _patches(drift: Drift) -> str:
    taken = ", ".join(name[:4] for name in drift.patches) or "none"
    return taken + (f" (not {', '.join(name[:4] for name in drift.left)})" if drift.left else "")


def _step(drift: Drift) -> Text:
    counts = drift.counts
    cells = Text(f"{drift.new.release:<10}", "bold")
    for severity in ("silent", "loud", "look", "harmless"):
        count = counts[severity]
        cells.append(f"{f'{count} {severity}' if count else '·':<12}", COLOURS[severity] if count else "dim")
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
