"""Throughput evidence as Markdown: a report of one run, and the table of several that documents hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from patchkit.bench.throughput_evidence import ThroughputEvidence, ThroughputRow
from patchkit.gates.events import StepTime
from patchkit.report import phrases as general
from patchkit.report.markdown import circumstances, escaped, folded, table
from patchkit.report.throughput import phrases

BEGIN = "<!-- throughput: made by `patchkit prove` of evidence/bench-*.json -->"
END = "<!-- end of throughput -->"

Filed = tuple[str, ThroughputEvidence]
"""The name of a file, and what it holds."""


def render(evidence: ThroughputEvidence) -> str:
    """The whole report of one run, one heading deep."""
    return "\n".join(_lines(evidence)) + "\n"


def render_table(evidence: ThroughputEvidence) -> str:
    """Its rows alone, as a table that can stand in a document."""
    return "\n".join(list(_table(evidence))[1:]) + "\n"


def with_throughput(text: str, filed: Sequence[Filed]) -> str:
    """A document with the tables of these files between its two marks; as it is if it has none."""
    before, begin, rest = text.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(END)
    if not begin or not end:
        return text
    tables = "\n".join(line for one in filed for line in _section(*one))
    return f"{before}{begin}{tables or 'Nothing is measured yet.'}\n{END}{after}"


def _section(file: str, evidence: ThroughputEvidence) -> Iterator[str]:
    yield f"{escaped(phrases.title(evidence))} (`{file}`):"
    yield from _table(evidence)
    yield ""


def _table(evidence: ThroughputEvidence) -> Iterator[str]:
    columns = phrases.comparisons(evidence)
    rows = (_cells(evidence, row, columns) for row in evidence.rows)
    yield from table((*phrases.LOAD, *phrases.RATES, *columns), rows, escape=False)


def _cells(evidence: ThroughputEvidence, row: ThroughputRow, columns: Sequence[str]) -> Iterable[str]:
    load = f"{row.prompts} x {row.samples}"
    yield from map(escaped, (row.mode, row.settings, load, phrases.plain_rate(row)))
    if row.standing == "alive":
        yield from map(escaped, (phrases.rate(row.patched), *phrases.compared(evidence, row, columns)))
    else:
        yield from (f"**{row.standing}**", escaped(row.why), *("" for _ in columns[1:]))


def _lines(evidence: ThroughputEvidence) -> Iterator[str]:
    yield f"## {general.mark(evidence.passed)} {escaped(phrases.title(evidence))}"
    yield from _table(evidence)
    for line in phrases.memory_lines(evidence):
        yield from ("", escaped(line))
    for title, found in phrases.profiles(evidence):
        yield from folded(escaped(title), _profile(found))
    yield from folded("How it came about", circumstances(evidence))


def _profile(found: StepTime) -> Iterator[str]:
    yield from table(phrases.PROFILE, phrases.profile_rows(found))
