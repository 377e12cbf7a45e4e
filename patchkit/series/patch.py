"""A patch: a fix for one drift, and why it is needed. ``bytes(patch)`` is its file, as ``git am`` takes it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from email.header import Header
from email.utils import format_datetime
from pathlib import Path
from typing import Literal, NamedTuple

from packaging.specifiers import SpecifierSet
from packaging.version import Version
from unidiff.patch import PatchSet

Kind = Literal["loud", "silent", "latent"]
MAIL_SPECIALS = '()<>[]:;@,."\\'  # a name with one of them is quoted (RFC 5322)
NO_COMMIT = "0" * 40
MIME = ["MIME-Version: 1.0", "Content-Type: text/plain; charset=UTF-8", "Content-Transfer-Encoding: 8bit"]


class Catch(NamedTuple):
    """A scenario that goes red without the patch, and what its reason must match."""

    scenario: str
    reason: re.Pattern[str]


@dataclass(frozen=True)
class Patch:
    """A fix for one drift: which symbol changed, since when, how it shows, which gate catches it, and the diff.

    ``body`` is the commit message below its subject, ``stat`` git's diffstat; both are kept verbatim.
    The header is in the manner of DEP-3 (https://dep-team.pages.debian.net/deps/dep3/).
    """

    path: Path
    subject: str
    body: str
    drift: int
    kind: Kind
    symbol: str
    applies_to: SpecifierSet
    symptom: str
    caught_by: tuple[Catch, ...]
    depends: tuple[str, ...]
    forwarded: str
    signed_off_by: tuple[str, ...]
    author: tuple[str, str]
    date: datetime
    stat: str
    diff: str
    patch_set: PatchSet = field(compare=False, repr=False)

    @property
    def name(self) -> str:
        """The file's name without its suffix, e.g. ``0004-logits-indices-come-first``."""
        return self.path.stem

    @property
    def number(self) -> int:
        return int(self.name[:4])

    @property
    def symbols(self) -> list[str]:
        return [symbol.strip() for symbol in self.symbol.split(",")]

    def needed_on(self, release: Version) -> bool:
        return holds_for(self.applies_to, release)

    def __bytes__(self) -> bytes:
        """Its file; the diff has the bytes of the files that it changes, which need not be UTF-8."""
        return str(self).encode(errors="surrogateescape")

    def __str__(self) -> str:
        name, address = self.author
        if "=?" in name:
            name = as_header(name)
        elif set(name) & set(MAIL_SPECIALS):
            name = '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
        date = format_datetime(self.date).replace(", 0", ", ")  # as git writes it
        head = [f"From: {name} <{address}>", f"Date: {date}", f"Subject: [PATCH] {as_header(self.subject)}"]
        mime = [] if "".join([*head, self.body]).isascii() else MIME
        lines = [f"From {NO_COMMIT} Mon Sep 17 00:00:00 2001", *head, *mime, "", self.body, "---"]
        return "\n".join([*lines, *([self.stat] if self.stat else []), "", self.diff])


def as_header(text: str) -> str:
    """A text as a mail header: plain, unless git would take something in it for the start of an encoded word."""
    return Header(text, "utf-8").encode() if "=?" in text else text


def holds_for(releases: SpecifierSet, release: Version) -> bool:
    """Whether a vLLM is among ``releases``: a post or local one counts as its base; rc and dev ones precede it."""
    development = "" if release.dev is None else f".dev{release.dev}"
    plain = Version(release.base_version + "".join(map(str, release.pre or ())) + development)
    return all(
        # PEP 440 keeps 0.11.0rc1 out of <0.11.0 too, which would leave it on neither side of the line.
        plain < Version(one.version) if one.operator == "<" else one.contains(plain, prereleases=True)
        for one in releases
    )
