"""How many changes of vLLM the scanner finds, beside griffe: ``python benchmarks/drift/accuracy.py [--json]``.

Both read the same files of the same releases in one run and are counted against ``ground_truth.yaml``. Of the
rows there, breaks (loud and silent) must be found as breaks. A break that is reported and is in no row is a false
alarm; so is one whose row calls it less than a break. griffe judges a library's public face, not what one runtime
uses: only what it reports of symbols on the surface is counted; the number of other reports is listed apart.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import griffe
import yaml

from patchkit.drift.index import listing, timeline
from patchkit.drift.package import Package, Universe
from patchkit.drift.published_source import PublishedSource
from patchkit.drift.scan import RecordingSource, Scanner
from patchkit.drift.surface_check import canonical
from patchkit.project import find_project

TRUTH = Path(__file__).parent / "ground_truth.yaml"
BREAKS = ("silent", "loud")
ONE_OF_SEVERAL = ("forward_native", "forward_cuda", "forward_cpu", "forward_hip", "forward_xpu")
"""Methods that a class's ``forward`` may be; the scanner reports ``forward``."""


class TruthRow(NamedTuple):
    """A row of the truth."""

    release: str
    symbol: str
    kind: str
    severity: str
    what: str


class Reported(NamedTuple):
    """What a tool reported of a symbol in a release."""

    release: str
    symbol: str
    kind: str
    breaks: bool
    sentence: str


@dataclass
class Score:
    """What one tool found."""

    name: str
    reports: list[Reported] = field(default_factory=list)
    elsewhere: int = 0
    seconds: float = 0.0

    def found(self, changes: Iterable[TruthRow]) -> list[TruthRow]:
        """The changes of which something was reported, by release and symbol."""
        said = {(one.release, known_as(one.symbol)) for one in self.reports}
        return [change for change in changes if (change.release, known_as(change.symbol)) in said]

    def found_as_breaks(self, changes: Iterable[TruthRow], by_kind: bool) -> list[TruthRow]:
        """The changes that were reported as a break, of the same kind if the tool has our kinds."""
        said = {(one.release, known_as(one.symbol), one.kind if by_kind else "") for one in self.reports if one.breaks}
        return [
            change
            for change in changes
            if (change.release, known_as(change.symbol), change.kind if by_kind else "") in said
        ]

    def false_alarms(self, changes: Iterable[TruthRow], by_kind: bool) -> list[Reported]:
        """Reported breaks that are none."""
        true = {
            (one.release, known_as(one.symbol), one.kind if by_kind else "")
            for one in changes
            if one.severity in BREAKS
        }
        return [
            one
            for one in self.reports
            if one.breaks and (one.release, known_as(one.symbol), one.kind if by_kind else "") not in true
        ]


def known_as(symbol: str) -> str:
    """One name for a symbol, by its last two words, with every way of a ``forward`` as the one."""
    holder, _, name = symbol.rpartition(".")
    last = "forward" if name in ONE_OF_SEVERAL else name
    return f"{holder.rpartition('.')[2]}.{last}"


def read_truth() -> tuple[list[str], list[TruthRow]]:
    """The releases, and every row."""
    document = yaml.safe_load(TRUTH.read_text(encoding="utf-8"))
    rows = [
        TruthRow(row["release"], row["symbol"], row["kind"], row["severity"], row["what"]) for row in document["moves"]
    ]
    return document["releases"], rows


def scanner(releases: Sequence[str]) -> tuple[Score, list[RecordingSource]]:
    """patchkit's own, over all releases."""
    has = {release.text: release for release in timeline(listing(), releases[0], releases[-1])}
    sources = [RecordingSource(PublishedSource(has[release])) for release in releases]
    esamp = Scanner.of(find_project(), "esamp")
    list(esamp.drifts(sources))  # once, so that neither tool's seconds hold the network's; what was read of the
    # runtime's code is kept from then on, as it is for a user who scans again
    began = time.perf_counter()
    reports = [
        Reported(drift.new.release, finding.symbol, finding.kind, finding.breaks, finding.sentence)
        for drift in esamp.drifts(sources)
        for finding in drift.findings
        if finding.kind != "body-changed"
    ]
    return Score("patchkit drift", reports, 0, time.perf_counter() - began), sources


def by_griffe(sources: Sequence[RecordingSource], surface: Iterable[str]) -> Score:
    """griffe on the same files, written out as the package that they are."""
    score = Score("griffe")
    names = {known_as(symbol) for symbol in surface}
    began = time.perf_counter()
    before: Any = None
    for source in sources:
        package = _loaded(source)
        if before is not None:
            for breakage in griffe.find_breaking_changes(before, package):
                symbol = breakage.obj.path
                if known_as(symbol) in names:
                    score.reports.append(
                        Reported(source.release, symbol, breakage.kind.name, True, breakage.kind.value)
                    )
                else:
                    score.elsewhere += 1
        before = package
    score.seconds = time.perf_counter() - began
    return score


def _loaded(source: RecordingSource) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(source.wanted):
            text = source.read(path)
            if text is not None:
                file = Path(folder, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
        for inner in Path(folder, "vllm").rglob("*/"):
            if not (inner / "__init__.py").exists():
                (inner / "__init__.py").touch()
        Path(folder, "vllm", "__init__.py").touch()
        return griffe.load("vllm", search_paths=[folder], allow_inspection=False, resolve_aliases=True)


def row_of(score: Score, changes: Sequence[TruthRow], steps: int, by_kind: bool) -> dict[str, Any]:
    """One line of the table."""
    breaks = [change for change in changes if change.severity in BREAKS]
    found = score.found_as_breaks(breaks, by_kind)
    alarms = score.false_alarms(changes, by_kind)
    right = len([one for one in score.reports if one.breaks]) - len(alarms)
    return {
        "tool": score.name,
        **{severity: _share(severity, found, breaks) for severity in BREAKS},
        "all changes": f"{len(score.found(changes))} of {len(changes)}",
        "false alarms": len(alarms),
        "a release": round(len(alarms) / steps, 2),
        "precision": round(right / max(right + len(alarms), 1), 2),
        "elsewhere": score.elsewhere,
        "seconds": round(score.seconds, 1),
    }


def _share(severity: str, found: Sequence[TruthRow], changes: Sequence[TruthRow]) -> str:
    counts = [sum(change.severity == severity for change in some) for some in (found, changes)]
    return f"{counts[0]} of {counts[1]}"


def error_lines(score: Score, changes: Sequence[TruthRow], by_kind: bool) -> Iterator[str]:
    """What it missed, and its false alarms."""
    breaks = [change for change in changes if change.severity in BREAKS]
    for change in breaks:
        if change not in score.found_as_breaks(breaks, by_kind):
            seen = "reported, but as less" if change in score.found([change]) else "not reported"
            yield f"  missed  {change.release:9}{change.severity:8}{known_as(change.symbol)} {change.kind}: {seen}"
    for one in score.false_alarms(changes, by_kind):
        yield f"  alarm   {one.release:9}{'':8}{known_as(one.symbol)} {one.kind}: {one.sentence[:90]}"


def main() -> None:
    releases, changes = read_truth()
    scanned, sources = scanner(releases)
    surface = find_surface(sources[-1])
    rivals = [(scanned, True), (by_griffe(sources, surface), False)]
    rows = [row_of(score, changes, len(releases) - 1, by_kind) for score, by_kind in rivals]
    if "--json" in sys.argv:
        print(json.dumps(rows, indent=2))
        return
    print(f"{len(changes)} changes in {len(releases) - 1} steps, by ground_truth.yaml\n")
    widths = {key: max(len(key), *(len(str(row[key])) for row in rows)) + 2 for key in rows[0]}
    print("".join(f"{key:<{width}}" for key, width in widths.items()))
    for row in rows:
        print("".join(f"{row[key]!s:<{width}}" for key, width in widths.items()))
    for score, by_kind in rivals:
        print(f"\n{score.name}")
        print("\n".join(error_lines(score, changes, by_kind)) or "  missed nothing, no false alarm")


def find_surface(source: RecordingSource) -> set[str]:
    """Every symbol of the surface, by its declared and by its defined name."""
    surface = Scanner.of(find_project(), "esamp").manifest.surface
    universe = Universe(Package(source, "vllm"))
    return {name for symbol in surface.manners() for name in (symbol, canonical(symbol, universe))}


if __name__ == "__main__":
    main()
