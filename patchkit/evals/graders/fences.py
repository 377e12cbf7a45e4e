"""Blocks of fenced code, each up to the fence with which it is whole."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator

OPENS = re.compile(r"^([ \t]*)```[^\n`]*$")
MOST_CLOSINGS = 8  # fences that are tried as the end of one block


def blocks(text: str, is_whole: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """The indent and the code of every block.

    A block ends at the first fence, on a line of its own or at the end of a line, up to which the code is whole, since
    a docstring may hold fences; if it never is, at the first fence; without a fence, at the end of the text.
    """
    lines = text.splitlines(keepends=True)
    ends = [at for at, line in enumerate(lines) if line.rstrip().endswith("```")]
    at = 0
    while at < len(lines):
        opened = OPENS.match(lines[at].rstrip())
        at += 1
        if opened:
            code, at = _block(lines, at, ends[bisect_left(ends, at) :][:MOST_CLOSINGS], is_whole)
            yield opened[1], code


def _block(lines: list[str], start: int, ends: list[int], is_whole: Callable[[str], bool]) -> tuple[str, int]:
    """A block's code, and the line after it."""
    for at in ends:
        code = _up_to(lines, start, at)
        if code.strip() and is_whole(code):
            return code, at + 1
    own_line = [at for at in ends if not lines[at].strip().strip("`")]
    if own_line:
        return _up_to(lines, start, own_line[0]), own_line[0] + 1
    return "".join(lines[start:]), len(lines)


def _up_to(lines: list[str], start: int, end: int) -> str:
    last = lines[end].rstrip().removesuffix("```")
    return "".join(lines[start:end]) + (last + "\n" if last.strip() else "")
