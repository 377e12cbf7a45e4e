"""Trees of mutants: the patched tree once, and a folder per mutant with one wrong patch on top.

Files that a mutant does not change are hard links, so that a hundred trees cost little more than one.
"""

from __future__ import annotations

import ast
import functools
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from git.exc import GitCommandError

from patchkit.errors import PatchkitError
from patchkit.series.mutant import Mutant
from patchkit.series.pin import upstream_files
from patchkit.series.repository import complaints, isolated_git, one_line_errors
from patchkit.series.worktree import Tree

Changes = tuple[tuple[str, bytes, int], ...]
"""What a mutant changes in the tree: path, new content (empty where the file is gone) and mode (0 there), by path."""

PREFIX = ".mutants-"
UNCHANGED = "_unchanged"  # no mutant has this name: theirs begin with a number


@contextmanager
def mutated_trees(tree: Tree, mutants: Sequence[Mutant]) -> Iterator[dict[str, Path]]:
    """The folder of every mutant's tree, by the mutant's name; all of them are gone afterwards.

    Raises:
        PatchkitError: a mutant does not apply, changes nothing that runs, is not valid Python, or does the same as
            another; or the disk is full.
    """
    place = tree.path.parent / f"{PREFIX}{os.getpid()}"
    _sweep(tree.path.parent)
    try:
        with one_line_errors(f"cannot lay out mutants in {place}"):
            _copy(tree.path, place / UNCHANGED)
            with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
                found = list(pool.map(lambda mutant: _lay_out(mutant, place), mutants))
        _check_different(mutants, found)
        yield {mutant.name: place / mutant.name for mutant in mutants}
    finally:
        shutil.rmtree(place, ignore_errors=True)


_PARSING = threading.Lock()


def _sweep(folder: Path) -> None:
    """Delete what killed runs left; trees of a run still in progress stay."""
    for path in folder.glob(f"{PREFIX}*"):
        number = path.name.removeprefix(PREFIX)
        if not number.isdecimal() or not Path(f"/proc/{number}").exists() or int(number) == os.getpid():
            shutil.rmtree(path, ignore_errors=True)


def _copy(source: Path, into: Path, link: bool = False) -> None:
    """The files of a tree, without its repository and what Python compiled."""
    for path in upstream_files(source):
        copy = into / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not (link and _linked(copy, path)):
            shutil.copy(path, copy, follow_symlinks=False)


def _linked(copy: Path, path: Path) -> bool:
    """Make ``copy`` a hard link, if the file system supports it."""
    if path.is_symlink():
        return False
    try:
        copy.hardlink_to(path)
    except OSError:
        return False
    return True


def _lay_out(mutant: Mutant, place: Path) -> Changes:
    folder, unchanged = place / mutant.name, place / UNCHANGED
    _copy(unchanged, folder, link=True)
    try:
        # git replaces a file instead of writing into it, so the hard-linked original is unchanged.
        isolated_git(folder).apply("--whitespace=nowarn", str(mutant.path.resolve()))
    except GitCommandError as error:
        said = "; ".join(line.removeprefix("error: ") for line in complaints(error))
        fix = "redo it on the tree that `patchkit apply` lays out, or narrow its Applies-To or Depends"
        raise PatchkitError(f"{mutant.path} does not apply: {said}", fix) from error
    changes = _changes(unchanged, folder)
    if not _does_something(mutant, changes, unchanged):
        raise PatchkitError(f"{mutant.path} changes nothing that runs", "drop it, or make it wrong")
    return changes


def _changes(unchanged: Path, folder: Path) -> Changes:
    """Every file whose content or mode differs from the unchanged tree."""
    before, after = _files(unchanged), _files(folder)
    found = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if new is None:
            found.append((name, b"", 0))
        elif old is None or (not os.path.samestat(old.lstat(), new.lstat()) and _state(old) != _state(new)):
            found.append((name, *_state(new)))
    return tuple(found)


def _files(folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in upstream_files(folder)}


def _state(path: Path) -> tuple[bytes, int]:
    """Content (of a link its target), and the mode: a link, executable, or plain."""
    if path.is_symlink():
        return os.fsencode(path.readlink()), 0o120000
    return path.read_bytes(), path.stat().st_mode & 0o100 | 0o100000


def _dumped(source: bytes) -> str:
    """The syntax tree as text. One at a time: in CPython 3.11 threads that parse disturb each other (gh-106905)."""
    with _PARSING:
        return ast.dump(ast.parse(source))


@functools.lru_cache(maxsize=16)  # most mutants of a series change the same few files
def _dumped_before(source: bytes) -> str:
    return _dumped(source)


def _does_something(mutant: Mutant, changes: Changes, unchanged: Path) -> bool:
    """Whether more than comments and whitespace differs.

    Raises:
        PatchkitError: a file is not valid Python any more: every gate would see that, so it tests none of them.
    """
    for name, content, _ in changes:
        old = unchanged / name
        if not name.endswith(".py") or not content or not old.is_file():
            return True
        try:
            before = _dumped_before(old.read_bytes())
        except (SyntaxError, ValueError):  # written for a newer Python than this one
            return True
        try:
            if _dumped(content) != before:
                return True
        except (SyntaxError, ValueError) as error:
            raise PatchkitError(
                f"{mutant.path}: {name} is not valid Python any more: {error}", "correct the mutant"
            ) from error
    return False


def _check_different(mutants: Sequence[Mutant], found: Sequence[Changes]) -> None:
    """Refuse two mutants that make the same tree: each would be counted twice."""
    seen: dict[Changes, Mutant] = {}
    for mutant, changes in zip(mutants, found, strict=True):
        twin = seen.setdefault(changes, mutant)
        if twin is not mutant:
            raise PatchkitError(f"{mutant.path} does the same as {twin.path}", "drop one of them")
