"""A published table of pass@1 and pass@n: rates alone, without the counts of each problem."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from patchkit.errors import PatchkitError
from patchkit.files import read_as


class Pair(msgspec.Struct, frozen=True):
    """A figure in the baseline, and in the mode."""

    before: float
    after: float

    def of(self, count: int) -> tuple[int, int]:
        """Rates as whole numbers out of ``count``."""
        return round(self.before * count), round(self.after * count)


class PublishedCell(msgspec.Struct, frozen=True, kw_only=True):
    """One model on one task. What was not published, or not found, is None.

    Attributes:
        claim: what its authors take it for, in a few words.
        pass_1, pass_n: rates from 0 to 1.
        gained, lost: how many problems the mode alone solved, and how many the baseline alone.
    """

    model: str
    task: str
    problems: int
    claim: str
    pass_1: Pair | None = None
    pass_n: Pair | None = None
    gained: int | None = None
    lost: int | None = None
    tokens_per_second: Pair | None = None
    seconds: Pair | None = None


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A table, and where it is from.

    Attributes:
        found: where its figures were read.
        note: what the figures leave open.
    """

    kind: Literal["published"]
    title: str
    author: str
    date: str
    url: str
    found: str
    hardware: str
    settings: str
    note: str
    n: int
    trials: int
    cells: list[PublishedCell]


def read_published(path: Path) -> Published:
    """Read a table; a file that is none, or whose figures contradict each other, is one line."""
    published = read_as(Published, path, "a published table of pass@k")
    for cell in published.cells:
        for wrong in _contradictions(cell, published.n):
            what = f"{path}: {cell.model} on {cell.task}: {wrong}"
            raise PatchkitError(what, "compare the figures with their source")
    return published


def _contradictions(cell: PublishedCell, n: int) -> Iterator[str]:
    if cell.problems < 1 or n < 1:
        yield f"{cell.problems} problems with {n} samples are none"
        return
    for k, pair, of in ((1, cell.pass_1, cell.problems * n), (n, cell.pass_n, cell.problems)):
        for rate in (pair.before, pair.after) if pair else ():
            if not 0 <= rate <= 1 or abs(rate * of - round(rate * of)) > 0.25:  # rates are rounded, too
                yield f"pass@{k} of {rate} is no share of {of}"
    if cell.pass_1 and cell.pass_n:
        yield from _out_of_step(cell.pass_1, cell.pass_n, cell.problems, n)
    if cell.gained is None or cell.lost is None or cell.pass_n is None:
        return
    before, after = cell.pass_n.of(cell.problems)
    gained, lost = cell.gained, cell.lost
    can_gain, can_lose = min(after, cell.problems - before), min(before, cell.problems - after)
    if not (gained - lost == after - before and 0 <= gained <= can_gain and 0 <= lost <= can_lose):
        yield f"{gained} gained and {lost} lost do not make {after} solved problems of {before}"


def _out_of_step(pass_1: Pair, pass_n: Pair, problems: int, n: int) -> Iterator[str]:
    """A problem is solved by 1 to n right samples, so pass@1 is pass@n at most, and not less than an n-th of it."""
    for right, solved in zip(pass_1.of(problems * n), pass_n.of(problems), strict=True):
        if not solved <= right <= solved * n:
            yield f"{right} right samples cannot be those of {solved} problems solved in {n}"
