"""The Python files of one vLLM release, wherever they lie: in the package index, a checkout, or an interpreter."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from patchkit.environments import borrowed
from patchkit.errors import PatchkitError

if TYPE_CHECKING:
    from patchkit.drift.index import Listing

UNKNOWN = "unknown"


class Source(Protocol):
    """What the rest of drift needs to know of a release."""

    @property
    def release(self) -> str:
        """The release as users write it, ``0.20.0``; of a checkout that does not say, ``unknown``."""

    @property
    def origin(self) -> str:
        """Where it was read, for people: the file name of a wheel, a folder."""

    @property
    def published(self) -> bool:
        """Whether it is a release as the package index has it, which a gate could have been run on."""

    def read(self, path: str) -> str | None:
        """The text of, say, ``vllm/v1/sample/sampler.py``; None if the release has no such file."""

    def paths(self) -> Collection[str]:
        """Every path of a Python file in the package, each begins with ``vllm/``."""


@runtime_checkable
class Prefetched(Protocol):
    """A source that is faster when it knows beforehand what will be read."""

    def prefetch(self, paths: Iterable[str]) -> None:
        """Get these files at once; those that the release does not have are passed over."""


def source_of(release: str, listing: Listing | None = None) -> Source:
    """The sources of a release in the package index, read on demand and kept.

    Args:
        release: as a user wrote it.
        listing: what the index has, if that was asked before.

    Raises:
        PatchkitError: no such release (the line names near ones), or the index cannot be reached and nothing is kept.
    """
    from patchkit.drift.index import find
    from patchkit.drift.index import listing as ask
    from patchkit.drift.published_source import PublishedSource

    return PublishedSource(find(listing or ask(), release))


class Checkout:
    """A folder that holds the package ``vllm``: a git checkout, an unpacked wheel or sdist, ``site-packages``."""

    published = False

    def __init__(self, folder: Path, release: str | None = None) -> None:
        """Find the package.

        Args:
            folder: the folder above ``vllm/``, or ``vllm/`` itself.
            release: what release it is, where the caller knows.

        Raises:
            PatchkitError: there is no vLLM in it.
        """
        if not folder.is_dir():
            raise PatchkitError(f"{folder}: there is no such folder", "give a checkout of vLLM or an unpacked release")
        self.origin = str(folder)
        self._root = _above_package(folder.resolve())
        self._release = release

    @cached_property
    def release(self) -> str:
        """By the version file that a build leaves, else by git's tags, else by the metadata beside it."""
        return (
            self._release
            or _by_version_file(self._root / "vllm" / "_version.py")
            or _by_tag(self._root)
            or _by_metadata(self._root)
            or UNKNOWN
        )

    def read(self, path: str) -> str | None:
        if not path.startswith("vllm/") or ".." in path.split("/"):
            return None
        try:
            return (self._root / path).read_bytes().decode("utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise PatchkitError(
                f"cannot read {self._root / path}: {error.strerror}", "check its permissions"
            ) from error

    def paths(self) -> Collection[str]:
        return self._paths

    @cached_property
    def _paths(self) -> frozenset[str]:
        files = (self._root / "vllm").rglob("*.py")
        return frozenset(file.relative_to(self._root).as_posix() for file in files if file.is_file())


def installed(python: Path) -> Checkout:
    """The vLLM that an interpreter would import, without importing it.

    Raises:
        PatchkitError: no such interpreter, or it has no vLLM.
    """
    found = borrowed.vllm_found(python)
    source = Checkout(found.folder, found.release or None)
    source.origin = f"{found.folder / 'vllm'} ({python})"
    return source


def _above_package(folder: Path) -> Path:
    for root in (folder, folder.parent) if folder.name == "vllm" else (folder,):
        if next((root / "vllm").rglob("*.py"), None):
            return root
    raise PatchkitError(f"{folder}: there is no vLLM in it", "give the folder that holds vllm/")


def _by_version_file(file: Path) -> str | None:
    """The version a build wrote, without a local label such as ``+cpu``."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    said = re.search(r"^(?:__version__\s*=\s*)?(?:__)?version(?:__)?\s*=\s*[\"'](\d[^\"'+]*)", text, re.MULTILINE)
    return said.group(1) if said else None


def _by_tag(root: Path) -> str | None:
    """The nearest tag of the commit that is checked out: ``0.20.0``; 15 commits later, ``0.20.0+15.gabc1234``."""
    from git import Repo
    from git.exc import GitError

    try:
        described = Repo(root).git.describe("--tags", "--match", "v[0-9]*")
    except (GitError, OSError, ValueError):
        return None
    tag = re.fullmatch(r"v?(\d.*?)(?:-(\d+)-(g[0-9a-f]+))?", str(described))
    if tag is None:
        return None
    return tag[1] if tag[2] is None else f"{tag[1]}+{tag[2]}.{tag[3]}"


def _by_metadata(root: Path) -> str | None:
    for file in (root / "PKG-INFO", *sorted(root.glob("vllm*.dist-info/METADATA"))):
        try:
            said = re.search(
                r"^Version: *(\d[^\s+]*)", file.read_text(encoding="utf-8", errors="replace"), re.MULTILINE
            )
        except OSError:
            continue
        if said:
            return said.group(1)
    return None
