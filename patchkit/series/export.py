"""Turns commits back into patch files, for ``patchkit export``.

Each commit after the tree's first becomes the patch of the same subject (or else the same drift number), a new one gets
the next number. A patch that the tree's release does not take stays as it is. Straight after an apply, nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
from git.cmd import Git
from packaging.version import Version

from patchkit.errors import PatchkitError
from patchkit.files import write_atomically
from patchkit.series.patch import Patch
from patchkit.series.patch_parsing import parse
from patchkit.series.repository import isolated_git, one_line_errors
from patchkit.series.series import Series
from patchkit.series.tree_state import Stamp, digest, read_stamp, write_stamp

FORMAT = ("--stdout", "--full-index", "--zero-commit", "--no-signature", "--no-renames", "--no-attach")
PREFIXES = ("--src-prefix=a/", "--dst-prefix=b/")  # whatever the tree's own settings say


def export(folder: Path, tree: Path) -> list[Path]:
    """Write the commits of ``tree`` as the patches of the runtime in ``folder``; returns the files that changed.

    Raises:
        PatchkitError: uncommitted edits, a commit whose message has no proper header, a patch without a commit.
    """
    with one_line_errors(f"cannot export {tree}", "name a tree that `patchkit apply` laid out"):
        git = isolated_git(tree.absolute())
        if edits := git.status("--porcelain").splitlines():
            raise PatchkitError(f"{tree} has uncommitted edits ({edits[0].strip()})", "commit them first")
        commits = _commits(git)
        order = folder / "series"
        known = Series.load(folder).patches if order.exists() else ()
        stamp = read_stamp(tree)
        elsewhere = [patch for patch in known if stamp and not patch.needed_on(Version(stamp.release))]
        patches = _named(folder, [_patch(git, folder, *commit) for commit in commits], known, elsewhere)
        laid_out = _as_laid_out(folder, stamp) if stamp else set()
        edited = [patch.path for patch, (commit, _) in zip(patches, commits, strict=True) if commit not in laid_out]
        held = {patch.path: patch for patch in known}
        changed = [one.path for one in patches if one.path in edited and not _says(held.get(one.path), one)]
        for patch in patches:
            if patch.path in changed:
                write_atomically(patch.path, bytes(patch))
        whole = _in_order(patches, known, elsewhere)
        if [patch.path for patch in whole] != [patch.path for patch in known]:
            write_atomically(order, _order(order, whole))
            changed.append(order)
        if stamp:
            head = git.rev_parse("HEAD")
            exported = stamp.exported or head != stamp.head
            write_stamp(tree, msgspec.structs.replace(stamp, head=head, exported=exported))
    return changed


def _commits(git: Git) -> list[tuple[str, str]]:
    """Hash and name, as git makes it of the subject, of every commit after the first."""
    if merges := git.rev_list("--merges", "HEAD").split():
        raise PatchkitError(f"{merges[0][:12]} is a merge", "rebase: a series is a line of commits")
    lines = git.log("--reverse", "--format=%H %f").splitlines()[1:]
    return [(line[:40], line[41:]) for line in lines]


def _as_laid_out(folder: Path, stamp: Stamp) -> set[str]:
    """Commits made by apply whose patch files are unchanged; rewritten, they would name other blobs."""
    files = {name: folder / f"{name}.patch" for name in stamp.patches}
    same = [files[name].exists() and digest(files[name]) == was for name, was in stamp.patches.items()]
    return {commit for commit, is_same in zip(stamp.commits, same, strict=True) if is_same}


def _patch(git: Git, folder: Path, commit: str, name: str) -> Patch:
    content: bytes = git.format_patch(*FORMAT, *PREFIXES, "-1", commit, stdout_as_string=False)
    name = name.lstrip("._-")[:52] or "change"  # git leaves out of a subject what is not ASCII
    return parse(content + b"\n", folder / f"0000-{name}.patch")


def _named(folder: Path, patches: Sequence[Patch], known: Sequence[Patch], elsewhere: Sequence[Patch]) -> list[Patch]:
    """The patches under the names that they have in the series; new ones get the next numbers."""
    free = [patch for patch in known if patch not in elsewhere]
    names: dict[int, Path] = {}
    for key in ("subject", "drift"):
        for at, patch in enumerate(patches):
            match = next((old for old in free if getattr(old, key) == getattr(patch, key)), None)
            if at not in names and match:
                names[at] = match.path
                free.remove(match)
    if free:
        fix = f"take it out of {folder / 'series'} and delete it, or export a tree that has it"
        raise PatchkitError(f"the tree has no commit for {free[0].name}", fix)
    number = max((patch.number for patch in known), default=0)
    for at, patch in enumerate(patches):
        if at not in names:
            number += 1
            names[at] = folder / f"{number:04}{patch.name[4:]}.patch"
    return [replace(patch, path=names[at]) for at, patch in enumerate(patches)]


def _in_order(patches: Sequence[Patch], known: Sequence[Patch], elsewhere: Sequence[Patch]) -> list[Patch]:
    """The tree's patches, and each one ``elsewhere`` behind the last of those that it stood behind."""
    whole, before = list(patches), set()
    for patch in known:
        if patch in elsewhere:
            place = max((at for at, one in enumerate(whole, 1) if one.path in before), default=0)
            whole.insert(place, patch)
        before.add(patch.path)
    return whole


def _order(path: Path, patches: Sequence[Patch]) -> str:
    """The ``series`` file for these patches, under the comment that heads the old one."""
    old = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    head = [line for line in old if line.startswith("#") or not line.strip()]
    return "\n".join([*head, *(patch.path.name for patch in patches)]) + "\n"


def _says(old: Patch | None, new: Patch) -> bool:
    """Whether a patch's file has the same content as the commit, apart from formatting."""
    return old is not None and replace(old, stat=new.stat) == new
