"""A vLLM release, as users write it."""

from __future__ import annotations

from packaging.version import InvalidVersion, Version

from patchkit.errors import PatchkitError

LEAST = 3  # numbers in the name of every vLLM release


def release_name(release: str) -> str:
    """``release`` in the one way to write it, so that ``0.20``, ``v0.20.0`` and ``0.20.0`` are one: as vLLM names it.

    Raises:
        PatchkitError: it is none.
    """
    version = parse_release(release)
    numbers = list(version.release)
    while len(numbers) > LEAST and not numbers[-1]:
        numbers.pop()
    numbers += [0] * (LEAST - len(numbers))
    text = ".".join(map(str, numbers))
    bare = ".".join(map(str, version.release))
    return str(version).replace(bare, text, 1)


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


def public_version(text: str | None) -> Version | None:
    """A version without its local label, such as ``+cu129``; None if it is none."""
    version = version_of(text or "")
    return version and Version(version.public)
