"""What is new in the package index."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.version import Version

from patchkit.drift.index import Listing, Release, find, listing, timeline
from patchkit.errors import PatchkitError
from patchkit.series.manifest import Manifest


@dataclass(frozen=True)
class News:
    """The last proven release, and the final ones that came since, oldest first."""

    listing: Listing
    last: Release
    new: tuple[Release, ...]


def last_proven(manifest: Manifest) -> str:
    """The newest release that the runtime is proven on, else the one that it was developed on."""
    return max(manifest.proven, key=Version, default=manifest.developed_on)


def ask(manifest: Manifest) -> News:
    """Ask the index, and take nothing else for its answer.

    Raises:
        PatchkitError: it cannot be reached, whatever is kept of it; or it does not even have the last proven release.
    """
    has = listing()
    if has.offline is not None:
        raise PatchkitError(
            f"the package index could not be asked ({has.offline})",
            "what is kept from before says nothing of new releases; check the network and watch again",
        )
    last = find(has, last_proven(manifest))
    newer = tuple(release for release in timeline(has, last.text) if release.version > last.version)
    return News(has, last, newer)
