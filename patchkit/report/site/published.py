"""Tables that somebody published, which are no evidence of a run."""

from __future__ import annotations

from pathlib import Path

import msgspec

from patchkit.files import read_as


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
