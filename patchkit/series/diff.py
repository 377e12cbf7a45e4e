"""A strict reader for git diffs: a line that belongs to no file or hunk is an error.

The form is git's (https://git-scm.com/docs/diff-format). What the lines say is for ``unidiff`` to read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from patchkit.errors import PatchkitError

FILE = "diff --git "
EXTENDED = re.compile(
    r"(old mode|new mode|deleted file mode|new file mode) \d{6}|(copy|rename) (from|to) .+|(dis)?similarity index \d+%"
)
INDEX = re.compile(r"index [0-9a-f]{4,64}\.\.[0-9a-f]{4,64}( \d{6})?")
HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")  # a count that is not there is 1
MOVED = re.compile(r"^(?:rename|copy) (?:from|to) (.+)")
BINARY = re.compile(r"(literal|delta) \d+")
BINARY_LINE = re.compile(r"[A-Za-z][!-~]+")
BASE = re.compile(r"(base-commit|prerequisite-patch-id): [0-9a-f]{40,64}")  # of `git format-patch --base`
SIGNATURE = re.compile(r"-- ?")
OF_A_DIFF = re.compile(r"[-+ @\\]|diff |index |Index: |GIT binary patch")  # git would read on, or it was a hunk's


class Diff(NamedTuple):
    """The text of a diff, and what it says by file and hunk."""

    text: str
    patch_set: PatchSet


def read_diff(lines: Sequence[str], first: int, path: Path, rewrite: str, indexed: bool) -> Diff:
    """The diff in ``lines``, which ``git format-patch`` may have signed.

    Args:
        first: the number of the first line in the file at ``path``.
        rewrite: how to make a proper file of a bad one.
        indexed: whether every file with changed content must have its index line.

    Raises:
        PatchkitError: it is malformed; says which line, and what to do.
    """
    lines = lines[:-1] if lines and not lines[-1] else lines  # what follows the last line's end
    end = _Reader(lines, first, path, rewrite, indexed).read()
    text = "\n".join(lines[:end]) + "\n"
    try:
        return Diff(text, PatchSet(text))
    except (UnidiffParseError, ValueError, AttributeError, IndexError) as error:
        what = str(error).encode(errors="replace").decode()
        raise PatchkitError(f"{path}:{first}: malformed diff ({what})", rewrite) from error


def has_prefixes(line: str, moved: Sequence[str]) -> bool:
    """Whether a file's first line has its old path under ``a/`` and its new one under ``b/``, as ``git am`` takes them.

    Args:
        moved: the old and the new path, which stand without such prefixes below, where they differ.
    """
    paths = line.removeprefix(FILE)
    if len(moved) == 2:
        return paths == f"{_under('a/', moved[0])} {_under('b/', moved[1])}"
    old, new = paths[: len(paths) // 2], paths[len(paths) // 2 + 1 :]
    return re.match('"?a/', old) is not None and old.replace("a/", "b/", 1) == new


def _under(prefix: str, path: str) -> str:
    """A path under a prefix; git quotes both together."""
    return f'"{prefix}{path[1:]}' if path.startswith('"') else prefix + path


class _Reader:
    """A cursor over the lines; ``at`` is the next one."""

    def __init__(self, lines: Sequence[str], first: int, path: Path, rewrite: str, indexed: bool) -> None:
        self.lines, self.first, self.path, self.rewrite, self.indexed = lines, first, path, rewrite, indexed
        self.at = 0

    def read(self) -> int:
        """Read every file; returns how many lines the diff has, without what git writes behind it.

        That is the commit that it stands on, and a signature, whose lines are free unless they look like a diff's.
        """
        if not self._next().startswith(FILE):
            raise PatchkitError(f"{self.path}: holds no git diff after its header", self.rewrite)
        while self._next().startswith(FILE):
            self._file()
        end = self.at
        signed = False
        while self.at < len(self.lines):
            line = self._next()
            begins = not signed and bool(SIGNATURE.fullmatch(line))
            free = signed and not OF_A_DIFF.match(line)
            if line.strip() and not (begins or free or BASE.fullmatch(line)):
                raise self._bad("text that belongs to no hunk")
            signed = signed or begins
            self.at += 1
        return end

    def _next(self) -> str:
        return self.lines[self.at] if self.at < len(self.lines) else ""

    def _bad(self, what: str) -> PatchkitError:
        return PatchkitError(f"{self.path}:{self.first + self.at}: {what}", self.rewrite)

    def _file(self) -> None:
        began, index = self.at, False
        moved: list[str] = []
        self.at += 1
        while EXTENDED.fullmatch(self._next()) or INDEX.fullmatch(self._next()):
            index = index or self._next().startswith("index ")
            moved += MOVED.findall(self._next())
            self.at += 1
        if not has_prefixes(self.lines[began], moved):
            self.at = began
            raise self._bad("the paths do not begin with a/ and b/, so it could change other files than it says")
        if self._next().startswith("index "):
            raise self._bad("malformed diff (an index line that git did not write)")
        if self._next() == "GIT binary patch":
            self._binary()
        elif self._next().startswith("Binary files "):
            raise self._bad("a binary file without its content (write the patch with `git format-patch --binary`)")
        elif self._next().startswith("--- "):
            self._text()
        elif self.at == began + 1:
            raise self._bad("malformed diff (a file of which nothing is said)")
        else:
            return
        if self.indexed and not index:
            self.at = began
            raise self._bad("a file without an index line")

    def _text(self) -> None:
        self.at += 1
        if not self._next().startswith("+++ "):
            raise self._bad("malformed diff (no +++ line after the --- line)")
        self.at += 1
        if not HUNK.match(self._next()):
            raise self._bad("malformed diff (no hunk)")
        while match := HUNK.match(self._next()):
            self.at += 1
            self._hunk(*(1 if count is None else int(count) for count in match.groups()))

    def _hunk(self, old: int, new: int) -> None:
        while old or new:
            mark = self._next()[:1] or " " if self.at < len(self.lines) else "end"  # git takes an empty line as context
            old -= mark in ("-", " ")
            new -= mark in ("+", " ")
            if mark not in ("-", "+", " ", "\\") or min(old, new) < 0:
                raise self._bad("malformed diff (the hunk does not have the lines that its head says)")
            self.at += 1
        while self._next().startswith("\\"):
            self.at += 1

    def _binary(self) -> None:
        """One or two blocks, each of which ends with an empty line."""
        self.at += 1
        if not BINARY.fullmatch(self._next()):
            raise self._bad("malformed diff (a binary patch without content)")
        while BINARY.fullmatch(self._next()):
            self.at += 1
            while BINARY_LINE.fullmatch(self._next()) and not BINARY.fullmatch(self._next()):
                self.at += 1
            if self._next() or self.at >= len(self.lines):
                raise self._bad("malformed diff (a binary patch whose block does not end)")
            self.at += 1
