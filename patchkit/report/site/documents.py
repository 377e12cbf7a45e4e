"""JSON that is not evidence of a run, as far as pages show it: drift, watch, and published tables."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from patchkit.files import read_as


class ReleaseRead(msgspec.Struct, kw_only=True):
    """A release as it was read, and whether the series was proven on it then."""

    release: str
    proven: bool = False


class Break(msgspec.Struct, kw_only=True):
    """A finding: what changed, how it shows, and what fixes it."""

    kind: str
    severity: Literal["silent", "loud", "look", "harmless"]
    symbol: str
    sentence: str
    old: str | None = None
    new: str | None = None
    fixed_by: list[str] = msgspec.field(default_factory=list)
    perhaps_by: list[str] = msgspec.field(default_factory=list)
    because: str | None = None

    @property
    def breaks(self) -> bool:
        """Whether it breaks the runtime unless something fixes it."""
        return self.severity in ("silent", "loud")

    @property
    def unpatched(self) -> bool:
        """Whether nothing is known to fix it."""
        return self.breaks and not self.fixed_by

    @property
    def patches(self) -> list[str]:
        """The patches that fix it; the manifest, upstream's code or the gates may do so as well."""
        return [name for name in self.fixed_by if name[:4].isdigit()]


class TimelineStep(msgspec.Struct, kw_only=True):
    """What changed from one release to the next, and what the series does about it."""

    runtime: str
    pin: str = ""
    old: ReleaseRead
    new: ReleaseRead
    patches: list[str] = msgspec.field(default_factory=list)
    findings: list[Break] = msgspec.field(default_factory=list)
    dead: list[str] = msgspec.field(default_factory=list)

    @property
    def breaks(self) -> list[Break]:
        """The findings that break the runtime, the worst first."""
        return [one for one in self.findings if one.breaks]

    def count(self, severity: str) -> int:
        """How many findings of one severity."""
        return sum(one.severity == severity for one in self.findings)


class WatchedRelease(msgspec.Struct, kw_only=True):
    """The result of a watch for one new release."""

    release: str
    uploaded: str | None = None
    outcome: str | None = None
    why: str = ""
    left_over: int = 0


class Watch(msgspec.Struct, kw_only=True):
    """One check for new releases; ``state`` is green, attention or unfinished."""

    runtime: str
    state: str
    verdict: str = ""
    device: str = ""
    began: str = ""
    last_proven: str = ""
    releases: list[WatchedRelease] = msgspec.field(default_factory=list)


class Rates(msgspec.Struct, kw_only=True):
    """A rate from 0 to 1 in the baseline, and in the mode."""

    before: float
    after: float


class PublishedCell(msgspec.Struct, kw_only=True):
    """One model on one task as somebody published it; what was not published is None."""

    model: str
    task: str
    problems: int
    claim: str = ""
    pass_1: Rates | None = None
    pass_n: Rates | None = None


class Published(msgspec.Struct, kw_only=True):
    """A table of rates that somebody published. It is shown as it is: a site judges none but our own runs."""

    title: str
    author: str = ""
    date: str = ""
    note: str = ""
    n: int = 1
    cells: list[PublishedCell] = msgspec.field(default_factory=list)


def read_published(path: Path) -> Published:
    """A published table.

    Raises:
        PatchkitError: the file is something else.
    """
    return read_as(Published, path, "a published table of pass@k")


def read_drift(path: Path) -> list[TimelineStep]:
    """The steps of ``drift --json``, one or, with ``--since``, all of a timeline.

    Raises:
        PatchkitError: the file is something else.
    """
    if path.read_bytes().lstrip().startswith(b"["):
        return list(read_as(list[TimelineStep], path, "patchkit's drift JSON"))  # type: ignore[type-var]
    return [read_as(TimelineStep, path, "patchkit's drift JSON")]


def read_watch(path: Path) -> Watch:
    """The report of ``watch``.

    Raises:
        PatchkitError: the file is something else.
    """
    return read_as(Watch, path, "patchkit's report of a watch")
