"""The verdicts on a published table, in words: for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from published_table import Pair, Published
from published_verdict import PublishedVerdict, verdicts

from patchkit.evals.number_format import points

HEAD = (
    "model",
    "task",
    "problems",
    "pass@1",
    "pass@n",
    "gained, lost",
    "p",
    "95% interval",
    "they say",
    "we say",
    "why",
)
UNKNOWN = "not published"


def text(published: Published) -> str:
    """A paragraph a cell."""
    return "\n".join([*_about(published), *(line for one in verdicts(published) for line in _paragraph(one))]) + "\n"


def markdown(published: Published) -> str:
    """A heading, where it is from, and a table with a row a cell."""
    rows = [HEAD, ("---",) * len(HEAD), *map(_row, verdicts(published))]
    table = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(["## Verdicts on a published table", "", *_about(published), "", *table]) + "\n"


def _about(published: Published) -> Iterator[str]:
    yield f"{published.author}, {published.title}, {published.date}. {published.url}"
    yield f"{published.hardware}; n = {published.n}, {published.trials} trial; {published.settings}."
    yield f"Figures read from {published.found}."
    yield published.note


def _paragraph(verdict: PublishedVerdict) -> Iterator[str]:
    cell = verdict.cell
    yield ""
    yield f"{cell.model} on {cell.task}, {cell.problems} problems: {verdict.outcome}"
    yield f"    they say: {cell.claim}"
    yield f"    why: {verdict.why}"


def _row(verdict: PublishedVerdict) -> tuple[str, ...]:
    cell, change = verdict.cell, verdict.change
    moved = f"{cell.gained}, {cell.lost}" if change else UNKNOWN
    p = f"{change.p:.3g}" if change else "" if verdict.best_n is None else f"{verdict.best_n:.3g} at best"
    ends = (change.low, change.high) if change else verdict.at_best
    interval = f"{points(ends[0])} to {points(ends[1])}" + (" at best" if not change else "") if ends else ""
    rates = (_rates(cell.pass_1), _rates(cell.pass_n))
    figures = (str(cell.problems), *rates, moved, p, interval)
    return (cell.model, cell.task, *figures, cell.claim, f"**{verdict.outcome}**", verdict.why)


def _rates(pair: Pair | None) -> str:
    return f"{100 * pair.before:.2f} to {100 * pair.after:.2f}%" if pair else "not recovered"
