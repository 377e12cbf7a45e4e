"""The series: which patches there are, in which order, and which of them a vLLM release needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from packaging.version import Version

from patchkit.errors import PatchkitError
from patchkit.release import parse_release
from patchkit.series.patch import Patch
from patchkit.series.patch_parsing import read_patch


class PatchChoice(NamedTuple):
    """A patch, whether it is taken, and why."""

    patch: Patch
    taken: bool
    why: str


@dataclass(frozen=True)
class Series:
    """The patches of a runtime in order; ``unlisted`` are patch files that the order does not name."""

    path: Path
    patches: tuple[Patch, ...]
    unlisted: tuple[str, ...]

    @classmethod
    def load(cls, folder: Path) -> Series:
        """The series in ``folder``, in quilt's format.

        Raises:
            PatchkitError: the order or a patch is malformed, missing, listed twice or before what it depends on.
        """
        path = folder / "series"
        names = read_order(path)
        for name in names:
            if not (folder / name).is_file():
                raise PatchkitError(
                    f"{path}: lists {name}, which is not in {folder}", "restore the file or drop the line"
                )
        patches = tuple(read_patch(folder / name) for name in names)
        _check_order(path, patches)
        unlisted = sorted({found.name for found in folder.glob("*.patch")} - {*names})
        return cls(path, patches, tuple(unlisted))

    def for_release(self, release: str, without: Sequence[str] = ()) -> list[PatchChoice]:
        """Every patch in order: is it taken for vLLM ``release``, and why?

        Raises:
            PatchkitError: no such release or patch, or a patch that is left out is needed by one that is not.
        """
        version = parse_release(release)
        dropped = {self.find(selector).name for selector in without}
        choices = [_choose(patch, version, patch.name in dropped) for patch in self.patches]
        left = {choice.patch.name: choice.why for choice in choices if not choice.taken}
        for patch, taken, _ in choices:
            for need in patch.depends:
                if taken and need in left:
                    why = f"{patch.name} depends on {need}, which is left out ({left[need]})"
                    raise PatchkitError(why, f"leave {patch.name} out too (--without {patch.number}), or neither")
        return choices

    def find(self, selector: str) -> Patch:
        """The patch called ``selector``: its number, with or without zeros, or its name.

        Raises:
            PatchkitError: there is none; lists those there are.
        """
        for patch in self.patches:
            if selector.zfill(4) == patch.name[:4] or selector.removesuffix(".patch") == patch.name:
                return patch
        names = ", ".join(patch.name for patch in self.patches) or "none"
        raise PatchkitError(f"no patch `{selector}` in {self.path}", f"there are: {names}")


def read_order(path: Path) -> list[str]:
    """The file names in a ``series`` file, which may have comments, blank lines and quilt's ``-p1``.

    Raises:
        PatchkitError: it cannot be read, a line is malformed, or a name comes twice.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise PatchkitError(
            f"cannot read {path}: {error.strerror}", "list the patches in it, one name a line"
        ) from error
    except UnicodeDecodeError as error:
        raise PatchkitError(f"{path}: not UTF-8", "save the file as UTF-8") from error
    names: list[str] = []
    for at, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if words[1:] not in ([], ["-p1"]) or "/" in words[0] or "\0" in words[0]:
            raise PatchkitError(f"{path}:{at}: `{line.strip()}`", "write one file name a line (only -p1 may follow)")
        if words[0] in names:
            raise PatchkitError(f"{path}:{at}: {words[0]} is listed twice", "drop one of the lines")
        names.append(words[0])
    return names


def _choose(patch: Patch, version: Version, dropped: bool) -> PatchChoice:
    needed = patch.needed_on(version)
    if dropped and needed:
        return PatchChoice(patch, False, "left out by --without")
    if not patch.applies_to:
        return PatchChoice(patch, needed, "every vllm needs it")
    return PatchChoice(patch, needed, f"vllm {version} is {'' if needed else 'not '}in {patch.applies_to}")


def _check_order(path: Path, patches: Sequence[Patch]) -> None:
    """Numbers are unique, and what a patch depends on comes before it."""
    numbers: dict[int, str] = {}
    names = {patch.name for patch in patches}
    seen: set[str] = set()
    for patch in patches:
        if patch.number in numbers:
            twins = f"{numbers[patch.number]} and {patch.name}"
            raise PatchkitError(f"{path}: {twins} share a number", "renumber one of them")
        numbers[patch.number] = patch.name
        for need in patch.depends:
            if need not in seen:
                where = "comes later" if need in names else "is not listed"
                raise PatchkitError(f"{path}: {patch.name} depends on {need}, which {where}", f"list {need} first")
        seen.add(patch.name)
