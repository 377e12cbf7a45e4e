"""Every evidence file that a site is made of, read as what it is; a file that is no evidence is one line."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from patchkit.bench.accuracy_evidence import AccuracyEvidence, read_accuracy
from patchkit.bench.throughput_evidence import ThroughputEvidence, read_throughput
from patchkit.drift.drift import Drift, read_drifts
from patchkit.errors import PatchkitError
from patchkit.gates.evidence import Evidence, read_evidence
from patchkit.gates.mutants_evidence import MutantsEvidence, read_mutants_evidence
from patchkit.report.site.published import Published, read_published
from patchkit.watch.report import WatchReport, read_report

Record = TypeVar("Record")


@dataclass(frozen=True)
class Filed(Generic[Record]):
    """A record, the name of the file it came from, and the name of its page."""

    record: Record
    file: str
    page: str


@dataclass(frozen=True)
class Sources:
    """All evidence by kind, each in the order in which it was given."""

    gates: list[Filed[Evidence]] = field(default_factory=list)
    knockouts: list[Filed[Evidence]] = field(default_factory=list)
    benches: list[Filed[Evidence]] = field(default_factory=list)
    throughputs: list[Filed[ThroughputEvidence]] = field(default_factory=list)
    mutants: list[Filed[MutantsEvidence]] = field(default_factory=list)
    accuracies: list[Filed[AccuracyEvidence]] = field(default_factory=list)
    published: list[Filed[Published]] = field(default_factory=list)
    drifts: list[Filed[list[Drift]]] = field(default_factory=list)
    watches: list[Filed[WatchReport]] = field(default_factory=list)

    def everything(self) -> list[Filed[Any]]:
        kinds: list[list[Any]] = [self.gates, self.knockouts, self.mutants, self.throughputs, self.benches]
        kinds += [self.accuracies, self.published, self.drifts, self.watches]
        return [filed for kind in kinds for filed in kind]


class _Marks(msgspec.Struct):
    """The fields by which kinds of evidence are distinguished."""

    kind: str = ""
    state: str | None = None
    findings: Any = None


READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "gate": ("gates", read_evidence),
    "knockout": ("knockouts", read_evidence),
    "bench": ("benches", read_evidence),
    "throughput": ("throughputs", read_throughput),
    "mutants": ("mutants", read_mutants_evidence),
    "accuracy": ("accuracies", read_accuracy),
    "published": ("published", read_published),
    "drift": ("drifts", read_drifts),
    "watch": ("watches", read_report),
}

SHARED_PAGES = {"drift": "drift.html", "watch": "drift.html", "published": "accuracy.html"}  # of all files of a kind


def read_sources(paths: Sequence[Path]) -> Sources:
    """Read every file.

    Raises:
        PatchkitError: a file cannot be read, or is not evidence of any kind.
    """
    sources, pages = Sources(), set[str]()
    for path in paths:
        kind = kind_of(path)
        if kind not in READERS:
            raise PatchkitError(f"{path} is not evidence: it names no kind that patchkit knows", "leave it out")
        attribute, read = READERS[kind]
        page = SHARED_PAGES.get(kind) or _page(kind, path, pages)
        getattr(sources, attribute).append(Filed(read(path), path.name, page))
    return sources


def kind_of(path: Path) -> str:
    """Which reader a file is for; "" if none.

    Raises:
        PatchkitError: the file cannot be read.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Marks | list[msgspec.Raw])
    except OSError as error:
        raise PatchkitError(f"cannot read {path}: {error.strerror or error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    if isinstance(found, list) or found.findings is not None:
        return "drift"
    return found.kind or ("watch" if found.state is not None else "")


def _page(kind: str, path: Path, taken: set[str]) -> str:
    """A file name of its own for the page: letters that no file system and no address changes."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-.") or "evidence"
    stem = stem if stem.startswith(f"{kind}-") else f"{kind}-{stem}"
    names = (f"{stem}{f'-{number}' if number > 1 else ''}.html" for number in range(1, len(taken) + 2))
    page = next(name for name in names if name.lower() not in taken)
    taken.add(page.lower())
    return page
