"""Throughput evidence as Markdown: a report of one run, and the table of several that documents hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from patchkit.bench.throughput_evidence import ThroughputEvidence, ThroughputRow
from patchkit.gates.events import Profile
from patchkit.report import phrases as general
from patchkit.report.markdown import SIGNS, escaped, folded, table
from patchkit.report.throughput import phrases

HEAD = ("mode", "settings", "prompts x samples", "plain vLLM, tokens/s", "with the runtime")
RATIOS = ("ratio to the fastest plain", "to plain in the same mode")
BY_CPU_TIME = "ratio by CPU time"
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
    by_cpu_time = phrases.by_cpu_time(evidence)
    rows = ((*_cells(row), *([escaped(phrases.ratio(row.cpu_ratio))] if by_cpu_time else [])) for row in evidence.rows)
    yield from table((*HEAD, *RATIOS, *([BY_CPU_TIME] if by_cpu_time else [])), rows, escape=False)


def _cells(row: ThroughputRow) -> Iterable[str]:
    load = f"{row.prompts} x {row.samples}"
    yield from map(escaped, (row.mode, row.settings, load, phrases.plain_rate(row)))
    if row.standing == "alive":
        yield from map(escaped, (phrases.rate(row.patched), phrases.ratio(row.ratio), phrases.ratio(row.same_mode)))
    else:
        yield from (f"**{row.standing}**", escaped(row.why), "")


def _lines(evidence: ThroughputEvidence) -> Iterator[str]:
    sign = SIGNS["✓" if evidence.passed else "✗"]
    yield f"## {sign} {escaped(phrases.title(evidence))}"
    yield from _table(evidence)
    for line in phrases.memory_lines(evidence):
        yield from ("", escaped(line))
    for name, found in phrases.profiles(evidence):
        yield from folded(escaped(phrases.profile_title(name, found)), _profile(found))
    yield from folded("How it came about", table(("", ""), general.circumstances(evidence).items()))


def _profile(found: Profile) -> Iterator[str]:
    rows = ((f"{row.microseconds:,.1f}", f"{row.calls:g}", row.where, row.name) for row in found.rows)
    yield from table(("µs a step", "calls", "on", "what"), rows)
