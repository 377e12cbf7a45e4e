"""Patched trees: the pin and the patches that a vLLM release needs, as a git repository with one commit per patch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout
from git.cmd import Git
from git.exc import GitCommandError

from patchkit.errors import PatchkitError
from patchkit.project import Project
from patchkit.release import release_name
from patchkit.series.code import code_hash
from patchkit.series.manifest import Manifest, load_manifest
from patchkit.series.patch import Patch
from patchkit.series.pin import check_pin, upstream_files
from patchkit.series.repository import complaints, isolated_git, one_line_errors
from patchkit.series.series import PatchChoice, Series
from patchkit.series.tree_state import Stamp, changes, check_standing, digest, read_stamp, write_stamp

ATTRIBUTES = "* -text -ident -filter -working-tree-encoding\n"  # the upstream's own may not change its bytes
EXCLUDED = "__pycache__/\n*.pyc\n"


@dataclass(frozen=True)
class Tree:
    """A patched tree in its place.

    Attributes:
        head: its last commit.
        hash: git's hash of its files, as they were read from the disk.
        commits: by patch name.
        fresh: whether it was laid out just now.
    """

    path: Path
    runtime: Manifest
    release: str
    choices: tuple[PatchChoice, ...]
    pin: str
    head: str
    hash: str
    commits: dict[str, str]
    fresh: bool

    @cached_property
    def code(self) -> str:
        """The hash of what runs of its files, see :func:`code_hash`."""
        return code_hash(self.path)

    @property
    def taken(self) -> list[Patch]:
        return [choice.patch for choice in self.choices if choice.taken]

    @property
    def left(self) -> list[tuple[Patch, str]]:
        return [(choice.patch, choice.why) for choice in self.choices if not choice.taken]


def patched_tree(
    project: Project, runtime: str, release: str, without: Sequence[str] = (), into: Path | None = None
) -> Tree:
    """The tree of ``runtime`` for vLLM ``release``; laid out unless an unmodified one of the same patches exists.

    Raises:
        PatchkitError: bad input, an edited upstream, a patch that does not apply, a tree that the user has edited,
            or a full disk; what was in the place before is still there.
    """
    manifest = load_manifest(project, runtime)
    release = release_name(release)
    series = Series.load(manifest.folder)
    choices = series.for_release(release, without)
    pin = check_pin(manifest)
    taken = [choice.patch for choice in choices if choice.taken]
    dropped = sorted(f"{series.find(selector).number:04}" for selector in {*without})
    name = "-without-".join([release, *(["-".join(dict.fromkeys(dropped))] if dropped else [])])
    place = into.absolute() if into else project.state / "trees" / runtime / name
    with one_line_errors(f"cannot lay out {place}"), _locked(project, runtime):
        _sweep(place)
        wanted = Stamp(runtime, release, pin, {patch.name: digest(patch.path) for patch in taken})
        stamp = _existing(place)
        if stamp is not None and stamp.made_like(wanted):
            check_standing(place, stamp)
        fresh = stamp is None or not stamp.made_like(wanted)
        if stamp is None or fresh:
            stamp = _build(place, manifest, wanted, taken, series.patches)
    commits = dict(zip(stamp.patches, stamp.commits, strict=True))
    return Tree(place, manifest, release, tuple(choices), pin, stamp.head, stamp.tree, commits, fresh)


def made_of(project: Project, runtime: str, release: str, without: Sequence[str] = ()) -> list[str]:
    """What :func:`patched_tree` would lay out, without doing so: the pin's hash and those of the patches, in order.

    Raises:
        PatchkitError: bad input, or an edited upstream.
    """
    manifest = load_manifest(project, runtime)
    choices = Series.load(manifest.folder).for_release(release_name(release), without)
    return [check_pin(manifest), *(digest(choice.patch.path) for choice in choices if choice.taken)]


def applied_trees(project: Project, runtime: str) -> list[tuple[Path, Stamp, list[str]]]:
    """The trees in their default places: path, stamp, and what the user changed since."""
    folders = sorted((project.state / "trees" / runtime).glob("[!.]*/.git"))
    with one_line_errors(f"cannot read the trees of {runtime}"):
        found = [(git.parent, read_stamp(git.parent)) for git in folders]
        return [(path, stamp, [*_unlike_its_patches(stamp), *changes(path, stamp)]) for path, stamp in found if stamp]


def _unlike_its_patches(stamp: Stamp) -> list[str]:
    """Why the next apply lays a tree out again even if the series is unchanged."""
    if stamp.exported:
        return ["exported commits of your own"]
    return [] if stamp.tree else ["laid out by an older patchkit"]


@contextmanager
def _locked(project: Project, runtime: str) -> Iterator[None]:
    """One apply at a time for a runtime of a project; the system drops the lock of a killed one."""
    path = project.state / "trees" / f"{runtime}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path, timeout=120):
            yield
    except Timeout as error:
        raise PatchkitError(f"another patchkit holds {path}", "wait for it, or end it") from error


def _existing(place: Path) -> Stamp | None:
    """The stamp of the unmodified tree in ``place``; None if the place is empty or missing; else an error."""
    if not place.exists() or not any(place.iterdir()):
        return None
    stamp = read_stamp(place)
    if stamp is None:
        raise PatchkitError(f"{place} exists and is no tree of patchkit's", "name an empty or a new folder (--into)")
    with one_line_errors(f"cannot determine whether {place} was edited", "move it away, or pass --into another folder"):
        edits = changes(place, stamp)
    if edits:
        shown = ", ".join(edits[:5]) + (" …" if len(edits) > 5 else "")
        fix = "export your commits (`patchkit export`), move the tree, or pass --into another folder"
        raise PatchkitError(f"{place} was edited since it was laid out ({shown})", fix)
    return stamp


def _build(
    place: Path, manifest: Manifest, wanted: Stamp, taken: Sequence[Patch], all_patches: Sequence[Patch]
) -> Stamp:
    """Lay the tree out beside ``place`` and move it there whole; a kill leaves at most leftovers for the next run."""
    new = place.parent / f".{place.name}.new-{os.getpid()}"
    old = place.parent / f".{place.name}.old-{os.getpid()}"
    try:
        new.mkdir(parents=True)
        git = isolated_git(new)
        root = _commit_upstream(git, new, manifest)
        if len(taken) < len(all_patches):
            _add_blobs(git, root, all_patches)
        _apply(git, new, taken)
        commits = tuple(git.rev_list("--reverse", f"{root}..HEAD").split())
        _check_commits(git, commits, taken)
        stamp = msgspec.structs.replace(
            wanted, head=commits[-1] if commits else root, commits=commits, tree=git.rev_parse("HEAD^{tree}")
        )
        write_stamp(new, stamp)
        if place.exists():
            place.replace(old)
        new.replace(place)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    return stamp


def _sweep(place: Path) -> None:
    """Delete what a killed run left beside ``place``."""
    if place.parent.is_dir():
        for path in place.parent.iterdir():
            if path.name.startswith((f".{place.name}.new-", f".{place.name}.old-")):
                shutil.rmtree(path, ignore_errors=True)


def _commit_upstream(git: Git, folder: Path, manifest: Manifest) -> str:
    """The first commit: the upstream as it was pinned."""
    git.init("--quiet", "--template=", "--initial-branch=patched")
    (folder / ".git" / "info").mkdir(exist_ok=True)
    (folder / ".git" / "info" / "attributes").write_text(ATTRIBUTES)
    (folder / ".git" / "info" / "exclude").write_text(EXCLUDED)
    if manifest.upstream.url:
        _fetch(git, manifest.upstream.url, manifest.pin)
    else:
        for path in upstream_files(manifest.upstream_folder):
            copy = folder / path.relative_to(manifest.upstream_folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy, follow_symlinks=False)
        git.add("--all", "--force", ".")
        if (found := git.write_tree()) != manifest.pin:
            raise PatchkitError(
                f"{manifest.upstream_folder} changed while it was copied (now tree {found})", "try again"
            )
    git.commit("--quiet", "--allow-empty", "-m", f"{manifest.name} upstream, pin {manifest.pin}")
    return str(git.rev_parse("HEAD"))


def _fetch(git: Git, url: str, commit: str) -> None:
    """Check out ``commit`` from ``url``, alone where the server allows it."""
    try:
        git.fetch("--quiet", "--depth=1", "--no-tags", url, commit)
    except GitCommandError:
        git.fetch("--quiet", url, "+refs/heads/*:refs/upstream/*")
    git.read_tree("--reset", "-u", commit)


def _add_blobs(git: Git, root: str, patches: Sequence[Patch]) -> None:
    """Add the blobs of the whole series to the repository: three-way merges of a part of the series need them."""
    try:
        _am(git, patches)
    except GitCommandError:
        git.am("--abort")
    git.reset("--hard", "--quiet", root)


def _am(git: Git, patches: Sequence[Patch]) -> None:
    if patches:
        files = [str(patch.path.resolve()) for patch in patches]
        git.am("--3way", "--quiet", "--keep-cr", "--keep-non-patch", *files)


def _apply(git: Git, folder: Path, patches: Sequence[Patch]) -> None:
    """A commit per patch, as ``git am --3way`` makes them.

    Raises:
        PatchkitError: one does not apply; says which, at which file and hunk.
    """
    try:
        _am(git, patches)
    except GitCommandError as error:
        progress = folder / ".git" / "rebase-apply" / "next"
        if not progress.exists():
            raise
        patch = patches[int(progress.read_text()) - 1]
        git.reset("--hard", "--quiet")
        fix = f"apply --without {patch.number}, redo its change there, commit it under the same subject, and export"
        raise PatchkitError(f"{patch.name} does not apply: {_failed_hunk(git, patch)}", fix) from error


def _failed_hunk(git: Git, patch: Patch) -> str:
    """Which hunk of ``patch`` git refuses, in its own words if it names none."""
    try:
        git.apply("--check", str(patch.path.resolve()))
    except GitCommandError as error:
        lines = [line.removeprefix("error: ") for line in complaints(error)]
        place = next((line.removeprefix("patch failed: ") for line in lines if line.startswith("patch failed: ")), "")
        path, _, line = place.rpartition(":")
        hunks = [hunk for file in patch.patch_set if file.path == path for hunk in file]
        refused = [
            str(hunk).splitlines()[0].encode(errors="replace").decode()
            for hunk in hunks
            if str(hunk.source_start) == line
        ]
        return f"{place}, hunk {refused[0]}" if refused else "; ".join(lines) or "git does not say where"
    return "its context matches, but merging it changes nothing or conflicts"


def _check_commits(git: Git, commits: Sequence[str], patches: Sequence[Patch]) -> None:
    """Check that every patch made a commit: git silently skips one whose change is already there."""
    if len(commits) == len(patches):
        return
    subjects = git.log("--format=%s", "--reverse", f"-{len(commits)}").splitlines() if commits else []
    empty = next((patch for patch in patches if patch.subject not in subjects), patches[-1])
    raise PatchkitError(f"{empty.name} changes nothing: what it does is already there", "drop it, or narrow Applies-To")
