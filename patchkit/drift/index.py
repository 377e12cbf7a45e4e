"""The releases of vLLM in the package index, cached for when it cannot be reached."""

from __future__ import annotations

import functools
import hashlib
import shlex
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path

import msgspec
from packaging.utils import parse_wheel_filename
from packaging.version import Version
from rich.text import Text
from unearth import Package

from patchkit.console import err
from patchkit.drift.http_client import HttpClient, UnreachableError, client_for, finder, plain_reason
from patchkit.drift.index_pages import Page, doubt, older
from patchkit.drift.release_files import DISTRIBUTIONS, File, Listing, Release
from patchkit.errors import PatchkitError
from patchkit.files import write_atomically
from patchkit.packages import PackageSettings, host, local, settings, without_credentials
from patchkit.project import cache_home
from patchkit.release import parse_release, public_version

__all__ = ["DISTRIBUTIONS", "File", "Listing", "Release", "find", "listing", "timeline"]

NEAR = 4
"""Releases named when one is not found."""


class StaleError(UnreachableError):
    """A place gives less than it gave before."""


def listing(distributions: Sequence[str] = DISTRIBUTIONS, chosen: PackageSettings | None = None) -> Listing:
    """Ask the index; where it does not answer for every package, take what it had when it last did, and say so.

    Raises:
        PatchkitError: it cannot be reached and nothing is cached, or it has no vLLM.
    """
    chosen = chosen or settings()
    file = _cache_file(distributions, chosen)
    cached = _load(file)
    try:
        asked = _ask(distributions, chosen, cached)
    except UnreachableError as error:
        return _fall_back(cached, file, error)
    write_atomically(file, msgspec.json.encode(asked))
    return asked


def _cache_file(distributions: Sequence[str], chosen: PackageSettings) -> Path:
    key = hashlib.sha256("\n".join([*distributions, "", *chosen.places]).encode()).hexdigest()
    return cache_home() / "index" / f"{key[:24]}.json"


def _load(file: Path) -> Listing | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Listing)
    except (OSError, msgspec.DecodeError):
        return None


def _fall_back(cached: Listing | None, file: Path, error: UnreachableError) -> Listing:
    if cached is None:
        raise PatchkitError(
            f"the package index cannot be reached ({error}), and nothing is kept from before",
            "check the network, or point UV_DEFAULT_INDEX or PIP_INDEX_URL at an index that can be",
        ) from error
    when = f"{cached.asked:%Y-%m-%d %H:%M} UTC"
    if isinstance(error, StaleError):
        _warn(f"{error}; what it had on {when} is taken; was that deleted for good, `rm {shlex.quote(str(file))}`")
    else:
        _warn(f"the package index cannot be reached ({error}); this is what it had on {when}")
    return msgspec.structs.replace(cached, offline=str(error))


def _ask(distributions: Sequence[str], chosen: PackageSettings, cached: Listing | None) -> Listing:
    """Every place for every package.

    Raises:
        UnreachableError: a place does not answer, or none has the first of the packages.
        StaleError: a place has less of a package than it had.
    """
    if chosen.offline:
        raise UnreachableError("UV_OFFLINE is set")
    found = [one for name in distributions for one in _pages(name, chosen, client_for(chosen))]
    pages = [page for page, _ in found]
    packages = [package for _, several in found for package in several]
    _check_there(distributions[0], pages)
    _check_age(pages, cached)
    unseen = tuple(dict.fromkeys(filter(None, map(doubt, pages))))
    for why in unseen:
        _warn(f"{why}; it is taken to have none")
    now = datetime.now(timezone.utc).replace(microsecond=0)
    return Listing(_releases(packages, distributions), now, None, tuple(pages), unseen)


def _pages(name: str, chosen: PackageSettings, client: HttpClient) -> list[tuple[Page, list[Package]]]:
    finding, found = finder(chosen, client), []
    for source in list(finding.sources):
        finding.sources[:] = [source]
        client.answers.clear()
        with plain_reason("the package index"):
            try:
                packages = list(finding.find_all_packages(name, allow_yanked=True))
            except ValueError as error:  # a time or an address that is none
                raise UnreachableError(f"{host(source['url'])} sends a list that cannot be read ({error})") from error
        place, index = without_credentials(source["url"]), source["type"] == "index"
        absent = index and not packages and local(place)  # a folder that is not there is never asked for
        status, serial = client.answers[-1] if client.answers else (404 if absent else 200, None)
        found.append((Page.of(place, name, index, status, serial, packages), packages))
    return found


def _check_there(name: str, pages: Sequence[Page]) -> None:
    mine = [page for page in pages if page.distribution == name]
    if any(page.files for page in mine):
        return
    places = ", ".join(dict.fromkeys(host(page.place) for page in mine)) or "no place, for no-index is set"
    said = "; ".join(dict.fromkeys(page.said for page in mine if page.index))
    raise UnreachableError(f"there is no {name} in {places}" + (f" ({said})" if said else ""))


def _check_age(pages: Sequence[Page], cached: Listing | None) -> None:
    """Compare every page with what the same index had of the same package."""
    before = {(page.place, page.distribution): page for page in cached.pages} if cached else {}
    for page in pages:
        was = before.get((page.place, page.distribution))
        why = older(page, was, f"{cached.asked:%Y-%m-%d}") if was and cached else ""
        if why:
            raise StaleError(why)


def _releases(packages: Iterable[Package], distributions: Sequence[str]) -> tuple[Release, ...]:
    """Packages by release; of one that several indexes have, the first is taken."""
    files: dict[Version, dict[str, File]] = {}
    for package in packages:
        version = public_version(package.version)
        if version is not None:
            files.setdefault(version, {}).setdefault(package.link.filename, _file(package))
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
