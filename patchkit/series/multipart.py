"""Mails of ``git format-patch --attach`` and ``--inline``: the message in one part, the diff in another.

They are read as ``git am`` reads them. Lines keep their numbers: what is MIME's alone becomes empty.
"""

from __future__ import annotations

import email
from collections.abc import Sequence
from email.message import Message
from pathlib import Path

from patchkit.errors import PatchkitError

PLAIN = ("7bit", "8bit", "binary")


def flat(lines: Sequence[str], first: int, headers: Message[str, str], path: Path, rewrite: str) -> list[str]:
    """The lines of a mail as if it had only one part; ``first`` is the index of the first line below the header.

    Raises:
        PatchkitError: it has several parts that are not a message and a diff, written plainly.
    """
    if headers.get_content_maintype() != "multipart":
        return [*lines]
    mark = f"--{headers.get_boundary('')}"
    begins = [at for at in range(first, len(lines)) if lines[at].rstrip() == mark]
    ends = [at for at in range(first, len(lines)) if lines[at].rstrip() == f"{mark}--"]
    if mark == "--" or len(begins) != 2 or len(ends) != 1 or ends[0] < begins[1]:
        raise PatchkitError(f"{path}: Content-Type: not the two parts of a message and a diff", rewrite)
    parts = [(begins[0] + 1, begins[1]), (begins[1] + 1, ends[0])]
    kept = {at for begin, end in parts for at in range(_body(lines, begin, end, path, rewrite), end)}
    return [*lines[:first], *(line if at in kept else "" for at, line in enumerate(lines[first:], first))]


def _body(lines: Sequence[str], begin: int, end: int, path: Path, rewrite: str) -> int:
    """Where a part's content begins, below its own header."""
    blank = next((at for at in range(begin, end) if not lines[at].strip()), end)
    header = email.message_from_string("\n".join(lines[begin:blank]) + "\n\n")
    encoding = str(header.get("Content-Transfer-Encoding", "8bit")).strip().lower()
    if encoding not in PLAIN or header.get_content_maintype() != "text":
        what = f"{path}:{begin + 1}: a part that is {header.get_content_type()} in {encoding}, not plain text"
        raise PatchkitError(what, rewrite)
    return blank
