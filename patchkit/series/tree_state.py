"""What a tree was made from, and whether it is still unmodified: checked against its files and commits each time."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
from git.cmd import Git

from patchkit.errors import PatchkitError
from patchkit.files import write_atomically
from patchkit.series.pin import Blob, upstream_blobs
from patchkit.series.repository import isolated_git


class Stamp(msgspec.Struct, frozen=True):
    """What a tree was made from; stored in its ``.git/patchkit.json``.

    Attributes:
        patches: the digest of each patch's file, by its name.
        head: the commit up to which the tree is laid out or exported.
        commits: one a patch, after the pin's.
        tree: git's hash of the files, when it was laid out; empty in a tree that an older patchkit laid out.
        exported: whether it holds commits that are not patchkit's; the next apply lays it out again.
    """

    runtime: str
    release: str
    pin: str
    patches: dict[str, str]
    head: str = ""
    commits: tuple[str, ...] = ()
    tree: str = ""
    exported: bool = False

    def made_like(self, other: Stamp) -> bool:
        """Whether both trees are what the same pin and patches make, and nothing else."""
        if self.exported or not self.tree:
            return False
        return (self.runtime, self.pin, [*self.patches.items()]) == (other.runtime, other.pin, [*other.patches.items()])


def read_stamp(place: Path) -> Stamp | None:
    """The stamp of the tree in ``place``, if patchkit made it."""
    try:
        stamp = msgspec.json.decode((place / ".git" / "patchkit.json").read_bytes(), type=Stamp)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return stamp if len(stamp.commits) == len(stamp.patches) else None


def write_stamp(place: Path, stamp: Stamp) -> None:
    write_atomically(place / ".git" / "patchkit.json", msgspec.json.encode(stamp).decode())


def changes(place: Path, stamp: Stamp) -> list[str]:
    """What the user changed in a tree since it was laid out, or exported: own commits, then edited files.

    Files are compared by content: git's own answer can be configured to leave some out.
    """
    git = isolated_git(place)
    head = git.rev_parse("HEAD")
    commits = ["commits of your own"] if head != stamp.head else []
    edited = [line.split(None, 1)[1] for line in git.status("--porcelain").splitlines()]
    edited += [name for name in _differing(git, place) if not name.startswith(tuple(edited) or ("\0",))]
    return commits + edited


def _differing(git: Git, place: Path) -> list[str]:
    """Files whose content, mode or presence differs from the last commit; git's index is not trusted."""
    rows = (line.split(None, 3) for line in git.ls_tree("-r", "-z", "--full-tree", "HEAD").split("\0") if line)
    committed = {path: Blob(mode, hashed) for mode, kind, hashed, path in rows if kind == "blob"}
    held = upstream_blobs(place)
    wrong = {path for path in committed.keys() | held.keys() if committed.get(path) != held.get(path)}
    # What Python compiled is no file of the upstream, though one may have committed it.
    return sorted(path for path in wrong if path in held or not (place / path).is_file())


def check_standing(place: Path, stamp: Stamp) -> None:
    """Refuse a tree whose commits are not those that its patches made, even if its stamp agrees with its head."""
    git = isolated_git(place)
    root = stamp.head if not stamp.commits else f"{stamp.commits[0]}^"
    found = tuple(git.rev_list("--reverse", f"{root}..HEAD").split())
    if found != stamp.commits or git.rev_parse("HEAD^{tree}") != stamp.tree:
        fix = "move it away, or pass --into another folder; export commits that you want to keep first"
        raise PatchkitError(f"{place} does not hold what the series makes: its commits are others", fix)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
