"""What is new in the package index."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.version import Version

from patchkit.drift.index import DISTRIBUTIONS, Listing, Release, find, listing, timeline
from patchkit.environments.lock import lock_file, locked_releases, requirements
from patchkit.errors import PatchkitError
from patchkit.series.manifest import Manifest


@dataclass(frozen=True)
class News:
    """The last proven release, and the final releases since, oldest first."""

    listing: Listing
    last: Release
    new: tuple[Release, ...]


def fetch_news(manifest: Manifest) -> News:
    """Ask the index for new releases; a cached or partial answer is an error.

    Raises:
        PatchkitError: it cannot be reached, even if a listing is cached; an index did not answer for a package or sends
            an older page than before; or the page of vLLM ends before the last proven release.
    """
    has = listing()
    if has.offline is not None:
        raise PatchkitError(
            f"the package index could not be asked ({has.offline})",
            "what is kept from before says nothing of new releases; check the network and watch again",
        )
    if has.unseen:
        raise PatchkitError(
            f"the package index could not be asked for every package ({'; '.join(has.unseen)})",
            "watch again later, or take that place out of pip's or uv's settings",
        )
    release = manifest.last_proven()
    check_reach(has, DISTRIBUTIONS[0], release, "the last proven release")
    last = find(has, release)
    newer = tuple(release for release in timeline(has, last.text) if release.version > last.version)
    return News(has, last, newer)


def check_locked(has: Listing) -> None:
    """Check that the index still lists the wheels that environments were built from.

    Raises:
        PatchkitError: it ends before what the newest lock pins, or a lock cannot be read.
    """
    for release in reversed(locked_releases("cpu")):
        pinned = [one for one in requirements(lock_file(release, "cpu")) if one.name == DISTRIBUTIONS[1]]
        for one in pinned:
            check_reach(has, one.name, str(one.specifier).removeprefix("=="), "which has a lock")
        if pinned:
            return


def check_reach(has: Listing, distribution: str, release: str, which: str) -> None:
    """Refuse a page that ends before a release that is known to exist.

    Raises:
        PatchkitError: it does; what is newer may be missing from it too.
    """
    end = has.ends_at(distribution)
    if end is None or end < Version(release):
        said = f"its page of {distribution} ends at {end}" if end else f"it lists no file of {distribution}"
        name = "vLLM" if distribution == DISTRIBUTIONS[0] else distribution
        raise PatchkitError(
            f"the package index has no {name} {release}, {which}: {said}, so what is newer may be missing too",
            "watch again later, or point UV_DEFAULT_INDEX or PIP_INDEX_URL at an index that has it",
        )
