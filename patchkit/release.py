"""A vLLM release, as users write it."""

from __future__ import annotations

from packaging.version import InvalidVersion, Version

from patchkit.errors import PatchkitError


def parse_release(release: str) -> Version:
    """``release`` as a version.

    Raises:
        PatchkitError: it is none.
    """
    try:
        return Version(release)
    except InvalidVersion as error:
        raise PatchkitError(f"`{release}` is no vLLM release", "write it as 0.20.0") from error


def version_of(release: str) -> Version | None:
    """A release as a version; None if a source does not say which it is."""
    try:
        return Version(release)
    except InvalidVersion:
        return None
