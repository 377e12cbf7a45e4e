"""JSON that is not evidence of a run, as far as pages show it: watch, and published tables."""

from __future__ import annotations

from pathlib import Path

import msgspec

from patchkit.files import read_as


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


def read_watch(path: Path) -> Watch:
    """The report of ``watch``.

    Raises:
        PatchkitError: the file is something else.
    """
    return read_as(Watch, path, "patchkit's report of a watch")
