"""The fields at the end of a commit message: ours, those of DEP-3 that we do not read, and git's trailers.

Git and code hosts put trailers behind our fields, often as a paragraph of their own. They are kept in the message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]*):(?:[ \t]+(.*))?")
PICKED = re.compile(r"\((cherry picked|backported) from commit [0-9a-f]{7,64}\)")
GITS = re.compile(  # Caught-By is ours
    r"(?!caught-)[a-z-]+-by|cc|fixes|closes|link|change-id|message-id|refs|see-also"  # https://git-scm.com/docs/SubmittingPatches
    r"|description|origin|bug(-[a-z0-9]+)*|author|from|last-update|applied-upstream",  # DEP-3
    re.IGNORECASE,
)


def is_kept(line: str) -> bool:
    """Whether a line is one that git, a code host or DEP-3 writes, and means nothing to us."""
    match = FIELD.fullmatch(line)
    return bool(PICKED.fullmatch(line) or (match and GITS.fullmatch(match[1])))


def split_message(lines: Sequence[str]) -> int:
    """Where the fields of a message begin: its last paragraph, and those before it while all below are git's."""
    begin = len(lines)
    for start, end in _paragraphs_backwards(lines):
        begin = start
        if not all(is_kept(line) or (at and line[0] in " \t") for at, line in enumerate(lines[start:end])):
            break
    return begin


def _paragraphs_backwards(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    end = len(lines)
    while end:
        if not lines[end - 1].strip():
            end -= 1
            continue
        start = end
        while start and lines[start - 1].strip():
            start -= 1
        yield start, end
        end = start
