"""What an environment would hold, before any of it is fetched: exact packages, and the size of each download."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx2
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from patchkit.environments.uv import uv
from patchkit.plural import counted

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "pylock.patchkit.toml"
HEAD_PATIENCE = 10.0  # seconds, for the size of a file that an index does not state
AT_ONCE = 8


@dataclass(frozen=True)
class Download:
    """One package in an exact version; ``bytes`` of the file that this Python would take, None if nobody says."""

    name: str
    version: str
    url: str
    bytes: int | None


@dataclass(frozen=True)
class Resolution:
    """The packages of an environment: ``content`` lists them for uv, with hashes (pylock.toml, PEP 751)."""

    content: str
    python: str
    downloads: tuple[Download, ...]

    def version(self, package: str) -> str:
        """The version of one package; "" if it is not among them."""
        return next((one.version for one in self.downloads if one.name == package), "")

    @property
    def bytes(self) -> int:
        """Of all files whose size is known."""
        return sum(one.bytes or 0 for one in self.downloads)

    @property
    def unsized(self) -> list[str]:
        return [one.name for one in self.downloads if one.bytes is None]

    def __str__(self) -> str:
        more = f" and {counted(len(self.unsized), 'file')} of unknown size" if self.unsized else ""
        return f"{counted(len(self.downloads), 'package')}, {self.bytes / 1e9:.1f} GB{more}"


def resolve(
    wanted: Sequence[str], bounds: Sequence[str], python: str, backend: str, folder: Path, what: str
) -> Resolution:
    """The exact packages for ``wanted`` on this host; reads metadata and sizes, downloads no package.

    Args:
        wanted: requirements.
        bounds: constraints of what they bring.
        python: an interpreter, or a version such as ``3.12``.
        backend: uv's torch backend; "" for the torch that the package index has.
        folder: for the file that lists them.
        what: what is being done, for an error.

    Raises:
        PatchkitError: they do not go together, or an index cannot be reached.
    """
    asked, limits, file = folder / "wanted.in", folder / "bounds.txt", folder / FILE
    asked.write_text("".join(f"{one}\n" for one in wanted))
    limits.write_text("".join(f"{one}\n" for one in bounds))
    chosen = ["--torch-backend", backend] if backend else []
    interpreter = ["--python-version" if python[0].isdigit() else "--python", python]
    plain = ["--format", "pylock.toml", "--no-header", "--quiet", "--output-file", file]
    uv(["pip", "compile", asked, "--constraints", limits, *interpreter, *chosen, *plain], what)
    version = python if python[0].isdigit() else _version_of(python, what)
    content, tags = file.read_text(), _tags(version)
    downloads = [_download(package, tags) for package in tomllib.loads(content)["packages"]]
    return Resolution(content, version, tuple(_sized(downloads)))


def _version_of(python: str, what: str) -> str:
    """An interpreter's version, with two numbers."""
    said = uv(["python", "find", "--show-version", "--no-python-downloads", python], what)
    return ".".join(said.strip().split(".")[:2])


def _tags(version: str) -> dict[Tag, int]:
    """The tags of this host's wheels for a Python, each with its rank, the best first."""
    major, minor = (int(part) for part in version.split(".")[:2])
    every = [*cpython_tags((major, minor)), *compatible_tags((major, minor), f"cp{major}{minor}")]
    return {tag: rank for rank, tag in reversed(list(enumerate(every)))}


def _download(package: dict[str, Any], tags: dict[Tag, int]) -> Download:
    """The file of a package that would be taken: its best wheel, or else its source."""
    wheels = [(rank, wheel) for wheel in package.get("wheels", []) if (rank := _rank(wheel, tags)) is not None]
    found = min(wheels, key=lambda one: one[0])[1] if wheels else package.get("sdist", {})
    return Download(package["name"], package.get("version", ""), _place(found), found.get("size"))


def _rank(wheel: dict[str, Any], tags: dict[Tag, int]) -> int | None:
    try:
        found = parse_wheel_filename(wheel.get("name") or unquote(urlsplit(_place(wheel)).path.rpartition("/")[2]))[3]
    except InvalidWheelFilename:
        return None
    return min((tags[tag] for tag in found if tag in tags), default=None)


def _place(file: dict[str, Any]) -> str:
    return str(file.get("url") or file.get("path") or "")


def _sized(downloads: Iterable[Download]) -> Iterator[Download]:
    """The same, with the sizes that the index leaves out asked of the files themselves."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(lambda one: one if one.bytes is not None else replace(one, bytes=_size(one.url)), downloads)


def _size(url: str) -> int | None:
    """Bytes of a file by its address; None if it cannot be had."""
    parts = urlsplit(url)
    try:
        if parts.scheme in ("", "file"):
            return Path(unquote(parts.path)).stat().st_size
        answer = httpx2.head(url, follow_redirects=True, timeout=HEAD_PATIENCE)
        return int(answer.headers["content-length"]) if answer.is_success else None
    except (OSError, ValueError, KeyError, httpx2.HTTPError, httpx2.InvalidURL):
        return None
