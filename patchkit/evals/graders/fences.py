"""Blocks of fenced code, each up to the fence with which it is whole."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import NamedTuple

OPENS = re.compile(r"^([ \t]*(?:(?:[-*+]|[0-9]{1,3}[.)])[ \t]+)?)(`{3,}(?=[^`]*$)|~{3,})")  # an item may begin with it
QUOTED = re.compile(r"^> ?(?=[ \t]*(?:```|~~~))", re.MULTILINE)
QUOTE = re.compile(r"^>(?!>) ?", re.MULTILINE)
MOST_CLOSINGS = 8  # fences that are tried as the end of one block


class Closings(NamedTuple):
    """The lines that hold a fence: anywhere, at their end, and with nothing else on them."""

    within: list[int]
    at_end: list[int]
    alone: list[int]


def blocks(text: str, is_whole: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """The indent and the code of every block.

    A block ends at the first fence like the one that opens it, on a line of its own or at the end of a line, up to
    which the code is whole, since a docstring may hold fences; if it never is, at the first fence on a line of its own;
    without one, at a fence within a line, if it is whole there; else at the end of the text.
    """
    lines = (QUOTE.sub("", text) if QUOTED.search(text) else text).splitlines(keepends=True)
    closings: dict[str, Closings] = {}
    at = 0
    while at < len(lines):
        opened = OPENS.match(lines[at].rstrip())
        at += 1
        if opened:
            fence = opened[2]
            if fence not in closings:
                closings[fence] = _closings(lines, fence)
            code, at = _block(lines, at, fence, closings[fence], is_whole)
            yield opened[1], code


def _closings(lines: list[str], fence: str) -> Closings:
    within = [at for at, line in enumerate(lines) if fence in line]
    at_end = [at for at in within if lines[at].rstrip().endswith(fence)]
    return Closings(within, at_end, [at for at in at_end if not lines[at].strip().strip(fence[0])])


def _block(
    lines: list[str], start: int, fence: str, closings: Closings, is_whole: Callable[[str], bool]
) -> tuple[str, int]:
    for at in _after(closings.at_end, start):
        code = _up_to(lines, start, at, lines[at].rstrip().rstrip(fence[0]))
        if code.strip() and is_whole(code):
            return code, at + 1
    for at in _after(closings.alone, start)[:1]:
        return _up_to(lines, start, at, ""), at + 1
    for at in _after(closings.within, start):
        code = _up_to(lines, start, at, lines[at].partition(fence)[0])
        if code.strip() and is_whole(code):
            return code, at + 1
    return "".join(lines[start:]), len(lines)


def _after(found: list[int], start: int) -> list[int]:
    """The next of these lines, as many as are tried."""
    first = bisect_left(found, start)
    return found[first : first + MOST_CLOSINGS]


def _up_to(lines: list[str], start: int, end: int, last: str) -> str:
    return "".join(lines[start:end]) + (last + "\n" if last.strip() else "")
