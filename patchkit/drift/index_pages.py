"""Pages of package indexes: whether one is whole, is an answer for its package, and is older than before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html.parser import HTMLParser
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct
from packaging.version import Version
from unearth import Package

from patchkit.packages import host
from patchkit.plural import counted
from patchkit.release import public_version

ABSENT = frozenset({403, 404, 410})
"""Responses of an index without the package; some file stores use 403."""
FILE_STORES = frozenset({"download.pytorch.org"})
"""Their 403 means that there is no such package, as uv takes it; any other 403 is no answer."""
JSON = "application/vnd.pypi.simple.v1+json"


class BadPageError(Exception):
    """The response is not a whole page; the text is a clause to follow the name of the server."""


class Page(Struct, frozen=True):
    """The response of one index for one package; enough of it to recognise an older page later.

    Attributes:
        place: its address without credentials.
        index: whether it is an index, which has a page for each package; else a page of links for any.
        status: of the last response; 200 for a local folder.
        files: how many files of the package it lists.
        newest: the highest version among them.
        uploaded: when the last of them came, if the place says.
        serial: the number of the package's last change, which PyPI and its mirrors send.
    """

    place: str
    distribution: str
    index: bool = True
    status: int = 200
    files: int = 0
    newest: str | None = None
    uploaded: datetime | None = None
    serial: int | None = None

    @classmethod
    def of(
        cls, place: str, distribution: str, index: bool, status: int, serial: int | None, found: Sequence[Package]
    ) -> Page:
        versions = [version for one in found if (version := public_version(one.version)) is not None]
        times = [package.link.upload_time for package in found if package.link.upload_time]
        newest = str(max(versions)) if versions else None
        return cls(place, distribution, index, status, len(found), newest, max(times, default=None), serial)

    @property
    def said(self) -> str:
        """The response instead of files, as a clause."""
        if self.status == 403:
            return "it refuses to answer, 403"
        return f"it answers {self.status}" if self.status in ABSENT else "its page lists no file of it"


def doubt(page: Page) -> str:
    """Why a page does not answer for its package, in a clause; empty if it does, also with "no such package"."""
    if page.files:
        return ""
    who = f"{host(page.place)} "
    if page.status in ABSENT and not page.index:
        return f"{who}answers {page.status}"
    if page.status == 403 and urlsplit(page.place).hostname not in FILE_STORES:
        return f"{who}refuses to answer for {page.distribution} (403)"
    if page.status not in ABSENT and page.index:
        return f"{who}answers for {page.distribution} with a page that lists no file of it"
    return ""


def older(page: Page, before: Page, day: str) -> str:
    """Why a page is older than what the same place had ``before``, in a clause; empty if it is not.

    A higher serial decides: what is missing then was deleted. Without serials, a page that lost its newest version or
    its last upload counts as old: an index may serve one of hours ago (Warehouse, issue 8568).
    """
    of = f"{host(page.place)} gives an old page of {page.distribution}"
    if not before.files:
        return ""
    if not page.files:
        had = f"{counted(before.files, 'file')} on {day}"
        return f"{host(page.place)} had {had} of {page.distribution}, and now {page.said}"
    if page.serial is not None and before.serial is not None and page.serial != before.serial:
        lower = page.serial < before.serial
        return f"{of}: its serial is {page.serial}, and was {before.serial} on {day}" if lower else ""
    if before.newest is not None and (page.newest is None or Version(page.newest) < Version(before.newest)):
        return f"{of}: it ends at {page.newest}, and had {before.newest} on {day}"
    if page.uploaded and before.uploaded and page.uploaded < before.uploaded:
        return f"{of}: its last upload is of {page.uploaded:%Y-%m-%d}, and was of {before.uploaded:%Y-%m-%d} on {day}"
    if page.serial is None and before.serial is not None:
        return f"{of}: it bears no serial, and had {before.serial} on {day}"
    return ""


class _File(Struct):
    filename: str
    url: str


class _Document(Struct):
    files: list[_File]


def check_whole(content: bytes, content_type: str) -> None:
    """Check that a page is complete: a cache may store a truncated one and send it with a matching length.

    Source:
        https://github.com/frostming/unearth/issues/89; the forms are PEP 503 and PEP 691.

    Raises:
        BadPageError: it breaks off, or is no list of files.
    """
    if content_type.lower().startswith(JSON):
        try:
            msgspec.json.decode(content, type=_Document)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadPageError(f"sends a list of files that breaks off or is none ({error})") from error
    elif not _closed(content.decode("utf-8", "replace")):
        raise BadPageError("sends a page that breaks off")


def _closed(text: str) -> bool:
    """Whether HTML ends between elements, and what frames a page was closed if it was opened."""
    frames = _Frames()
    frames.feed(text)
    open_now = frames.open if "a" in frames.closed else [tag for tag in frames.open if tag != "a"]
    return not open_now and "<" not in frames.rawdata


class _Frames(HTMLParser):
    """Which of the elements that every index closes are open, and which were ever closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.closed: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("html", "body", "a") and not (tag == "a" and "a" in self.open):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.closed.add(tag)
        if tag in self.open:
            self.open.remove(tag)
