"""Drifts for an issue, a pull request or a job summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from patchkit.drift.drift import Drift, verdict
from patchkit.drift.findings import Finding
from patchkit.plural import counted
from patchkit.report.drift.adopted_patches import short
from patchkit.report.drift.terminal import remarks
from patchkit.report.markdown import escaped, folded, table
from patchkit.report.phrases import mark, series


def render(drifts: Sequence[Drift]) -> str:
    return "\n\n".join("\n".join(_lines(drift)) for drift in drifts) + "\n"


def _lines(drift: Drift) -> Iterator[str]:
    yield f"### {mark(not drift.unpatched)} vLLM {drift.old.release} → {drift.new.release}"
    yield ""
    said = escaped(verdict(drift))
    yield f"**{said[:1].upper()}{said[1:]}.** {series(drift.runtime, drift.pin, len(drift.patches))}."
    for line in remarks(drift):
        yield ""
        yield f"**Note:** {escaped(line)}"
    breaks = drift.breaks
    if breaks:
        yield from _table(breaks)
    rest = [finding for finding in drift.findings if not finding.breaks]
    yield from folded(f"{counted(len(rest), 'more change')} without a break", _table(rest) if rest else ())


def _table(findings: Sequence[Finding]) -> Iterator[str]:
    return table(("severity", "symbol", "what changed", "where", "fixed by"), map(_row, findings), escape=False)


def _row(finding: Finding) -> tuple[str, ...]:
    where = " → ".join(f"`{place}`" for place in (finding.old, finding.new) if place)
    guess = f" *(guessed: {escaped(finding.guessed)})*" if finding.guessed else ""
    perhaps = f", perhaps fixed by {', '.join(finding.perhaps_by)}" if finding.perhaps_by else ""
    fix = ", ".join(finding.fixed_by) or (f"**unpatched**{perhaps}" if finding.breaks else "")
    return finding.severity, f"`{short(finding.symbol)}`", f"{escaped(finding.sentence)}{guess}", where, fix
