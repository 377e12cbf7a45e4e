"""How much of what the public reported the scanner says: ``python benchmarks/drift/public_reports.py [--json]``.

Each report of ``public_reports.yaml`` is a runtime of one file, scanned between the two releases. What the report says
broke must be left open (a break that nothing fixes). What else is left open is a false alarm, and so is anything that
is left open for the same runtime after its fix. Then the runner that is chosen for each model, release by release.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from patchkit.drift.class_selection import SelectionInputs, selected
from patchkit.drift.findings import Finding
from patchkit.drift.index import listing
from patchkit.drift.inference import Inference
from patchkit.drift.package import Package, Universe
from patchkit.drift.scan import Scanner
from patchkit.drift.source import source_of
from patchkit.project import Project
from patchkit.series.pin import tree_hash, upstream_blobs

TRUTH = Path(__file__).parent / "public_reports.yaml"


@dataclass(frozen=True)
class ReportResult:
    """One report.

    Attributes:
        held_out: nothing was changed for it.
        found, missed: what had to be left open, as ``symbol kind``.
        alarms: what was left open besides, and for the runtime after its fix.
    """

    name: str
    held_out: bool
    found: tuple[str, ...]
    missed: tuple[str, ...]
    alarms: tuple[str, ...]


def project_of(folder: Path, code: str, surface: dict[str, Any], developed_on: str) -> Project:
    """A project with one runtime, ``rt``, of one file and without patches."""
    home = folder / "patches" / "rt"
    (home / "upstream" / "rt").mkdir(parents=True)
    (folder / "scenarios").mkdir()
    (home / "upstream" / "rt" / "__init__.py").write_text(code, encoding="utf-8")
    (home / "series").write_text("", encoding="utf-8")
    manifest = {
        "name": "rt",
        "package": "rt",
        "upstream": {"path": "upstream", "tree": tree_hash(upstream_blobs(home / "upstream"))},
        "developed_on": developed_on,
        "proven": [],
        "start": "rt:install",
        "surface": surface,
    }
    (home / "runtime.yaml").write_text(yaml.safe_dump(manifest), encoding="utf-8")
    return Project(folder, folder / ".patchkit")


def left_open(code: str, report: dict[str, Any], has: Any) -> list[Finding]:
    """The breaks that nothing fixes, for a runtime of this code."""
    releases = report["releases"]
    with tempfile.TemporaryDirectory() as folder:
        project = project_of(Path(folder), code, report["surface"], releases[0])
        sources = [source_of(release, has) for release in releases]
        return [one for drift in Scanner.of(project, "rt").drifts(sources) for one in drift.unpatched]


def scan_report(report: dict[str, Any], has: Any) -> ReportResult:
    """One report, scanned as it was and after its fix."""
    said = left_open(report["code"], report, has)
    wanted = [(symbol, kind) for symbol, kind in report["open"]]

    def is_wanted(one: Finding) -> bool:
        return any(one.symbol == symbol and kind in (one.kind, "*") for symbol, kind in wanted)

    found = [
        (symbol, kind) for symbol, kind in wanted if any(s.symbol == symbol and kind in (s.kind, "*") for s in said)
    ]
    besides = [one for one in said if not is_wanted(one)]
    after = left_open(report["fixed"], report, has) if "fixed" in report else []
    return ReportResult(
        report["name"],
        report.get("held_out", False),
        tuple(" ".join(one) for one in found),
        tuple(" ".join(one) for one in wanted if one not in found),
        (*(_line(one) for one in besides), *(f"after the fix: {_line(one)}" for one in after)),
    )


def _line(one: Finding) -> str:
    return f"{one.symbol} {one.kind}: {one.sentence}"


def chosen_runners(truth: dict[str, Any], has: Any) -> Iterator[tuple[str, str, bool]]:
    """Release, model, and whether the runner that is chosen is the one that it should be, for certain."""
    for release in (*truth["first"], *truth["second"]):
        universe = Universe(Package(source_of(release, has), "vllm"))
        inference = Inference(universe, {})
        for architecture in truth["architectures"]:
            found = selected(universe, inference, truth["hooked"], truth["by"], SelectionInputs(architecture, "cuda"))
            first = found is not None and found.chosen == (truth["hooked"],)
            second = found is not None and truth["hooked"] not in found.chosen
            guessed = found is None or any(f" of {architecture}" in line for line in found.guessed)
            yield release, architecture, not guessed and (first if release in truth["first"] else second)


def totals(results: Sequence[ReportResult], runners: Sequence[tuple[str, str, bool]]) -> dict[str, Any]:
    """The figures: over the reports that the scanner was changed for, and over those held out."""
    figures: dict[str, Any] = {}
    for title, held_out in (("seen", False), ("held out", True)):
        some = [one for one in results if one.held_out is held_out]
        found, missed = (sum(len(getattr(one, name)) for one in some) for name in ("found", "missed"))
        figures[title] = {
            "reports": len(some),
            "breaks said": f"{found} of {found + missed}",
            "false alarms": sum(len(one.alarms) for one in some),
        }
    return figures | {"runners right": f"{sum(right for *_, right in runners)} of {len(runners)}"}


def main() -> int:
    truth = yaml.safe_load(TRUTH.read_text(encoding="utf-8"))
    has = listing()
    results = [scan_report(report, has) for report in truth["reports"]]
    runners = list(chosen_runners(truth["runners"], has))
    figures = totals(results, runners)
    if "--json" in sys.argv:
        print(json.dumps(figures, indent=2))
    else:
        for one in results:
            print(f"{'✓' if not one.missed and not one.alarms else '✗'} {one.name}")
            for title, lines in (("said", one.found), ("missed", one.missed), ("alarm", one.alarms)):
                for line in lines:
                    print(f"    {title:<7}{line}")
        for release, architecture, right in runners:
            if not right:
                print(f"✗ the runner of {architecture} on vLLM {release}")
        print(json.dumps(figures))
    return int(any(one.missed or one.alarms for one in results) or not all(right for *_, right in runners))


if __name__ == "__main__":
    sys.exit(main())
