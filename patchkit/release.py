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
