"""The user's package settings, as pip and uv keep them."""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import url2pathname

from patchkit.environments.uv import environment_for_uv

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PATIENCE = 15.0  # seconds, as pip has it


@dataclass(frozen=True)
class PackageSettings:
    """Where packages come from; addresses may hold credentials, so never show or keep them as they are."""

    indexes: tuple[str, ...]
    find_links: tuple[str, ...]
    trusted_hosts: tuple[str, ...] = ()
    certificate: str | None = None
    client_certificate: str | None = None
    proxy: str | None = None
    timeout: float = PATIENCE
    offline: bool = False

    @property
    def places(self) -> tuple[str, ...]:
        """Every address without its credentials: what the answers depend on."""
        return tuple(without_credentials(url) for url in (*self.indexes, *self.find_links))


def settings(environ: Mapping[str, str] = os.environ) -> PackageSettings:
    """The user's settings: ``UV_*`` variables, then pip's variables and files, then ``uv.toml``, then the default."""
    variables, file = environment_for_uv(environ), uv_settings(environ)
    default = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL") or variables.get("UV_DEFAULT_INDEX")
    extra = f"{variables.get('UV_INDEX', '')} {environ.get('UV_EXTRA_INDEX_URL', '')}".split()
    links = variables.get("UV_FIND_LINKS")
    indexes = [*(extra or file.extra), default or file.default or default_index()]
    if _true(variables.get("UV_NO_INDEX") or file.no_index):
        indexes = []
    given = variables.get("ALL_PROXY") if "ALL_PROXY" not in environ else None  # pip's; the others are known anyway
    return PackageSettings(
        indexes=tuple(dict.fromkeys(_index(text, environ) for text in indexes)),
        find_links=tuple(dict.fromkeys(_present(re.split(r"[,\s]+", links) if links else file.find_links))),
        trusted_hosts=tuple(_hosts(variables.get("UV_INSECURE_HOST"), file.trusted_hosts)),
        certificate=next(
            (
                variables[name]
                for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
                if variables.get(name)
            ),
            None,
        ),
        client_certificate=variables.get("SSL_CLIENT_CERT") or None,
        proxy=given if not given or "://" in given else f"http://{given}",
        timeout=_seconds(variables.get("UV_HTTP_TIMEOUT") or environ.get("UV_REQUEST_TIMEOUT")),
        offline=_true(environ.get("UV_OFFLINE")),
    )


@functools.cache
def default_index() -> str:
    """The index that is asked when the user names none: the one that the library knows."""
    from unearth import PackageFinder

    return PackageFinder().sources[0]["url"]


@dataclass
class UvToml:
    """What ``uv.toml`` says of packages."""

    default: str | None = None
    extra: list[str] = field(default_factory=list)
    find_links: list[str] = field(default_factory=list)
    trusted_hosts: list[str] = field(default_factory=list)
    no_index: bool = False


def uv_settings(environ: Mapping[str, str] = os.environ) -> UvToml:
    """The settings in uv's own files, the user's before the machine's; an absent or broken file says nothing."""
    said = UvToml()
    if _true(environ.get("UV_NO_CONFIG")):
        return said
    chosen = environ.get("UV_CONFIG_FILE")
    home = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or "~").expanduser() / ".config")
    for path in [Path(chosen)] if chosen else [home / "uv" / "uv.toml", Path("/etc/uv/uv.toml")]:
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        for table in (document, document.get("pip")):
            if isinstance(table, dict):
                _add(said, table)
    return said


def _add(said: UvToml, table: Mapping[str, Any]) -> None:
    """Add a table of ``uv.toml`` to what stronger ones said."""
    for index in _list(table.get("index")):
        if isinstance(index, dict) and isinstance(index.get("url"), str) and not index.get("explicit"):
            url = f"{index['name']}={index['url']}" if index.get("name") else index["url"]
            if index.get("default"):
                said.default = said.default or url
            else:
                said.extra.append(url)
    if isinstance(table.get("index-url"), str):
        said.default = said.default or table["index-url"]
    for key, values in (
        ("extra-index-url", said.extra),
        ("find-links", said.find_links),
        ("allow-insecure-host", said.trusted_hosts),
    ):
        values.extend(value for value in _list(table.get(key)) if isinstance(value, str))
    said.no_index = said.no_index or table.get("no-index") is True


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _true(value: object) -> bool:
    return str(value or "").strip().lower() in ("1", "true", "yes", "on", "y", "t")


def _seconds(text: str | None) -> float:
    try:
        return max(float(text or PATIENCE), 0.1)
    except ValueError:
        return PATIENCE


def _hosts(text: str | None, others: Iterable[str]) -> Iterator[str]:
    for host in [*re.split(r"[,\s]+", text or ""), *others]:
        if host.strip():
            yield host.strip().partition("://")[2].rstrip("/") or host.strip()


def _index(text: str, environ: Mapping[str, str]) -> str:
    """The address of an index: ``name=`` taken off, with the name's credentials, a folder as ``file:``."""
    named = re.match(r"([\w.-]+)=(.+)", text)
    if named is None:
        return _located(text)
    name, url = re.sub(r"[^A-Z0-9]", "_", named[1].upper()), _located(named[2])
    user, password = (environ.get(f"UV_INDEX_{name}_{what}") for what in ("USERNAME", "PASSWORD"))
    parts = urlsplit(url)
    if not parts.hostname or not (user or password) or "@" in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=f"{quote(user or '', '')}:{quote(password or '', '')}@{parts.netloc}"))


def _located(text: str) -> str:
    return text if re.match(r"[a-z+]+:", text) else Path(text).expanduser().absolute().as_uri()


def _present(places: Iterable[str]) -> Iterator[str]:
    """Addresses of links; a local one that does not exist is passed over, as pip does."""
    for url in (_located(place) for place in places if place):
        if local(url) is None or local(url).exists():  # type: ignore[union-attr]
            yield url


def local(url: str) -> Path | None:
    """The path of a ``file:`` address; None for any other."""
    parts = urlsplit(url)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def without_credentials(url: str) -> str:
    """``url`` as it may be shown and kept."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def host(url: str) -> str:
    """Whom to name when ``url`` fails: its host, or its path if it is local."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or unquote(parts.path)
