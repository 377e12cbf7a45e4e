"""An HTTP client for package indexes that honours the user's settings, retries, and explains failures in one line."""

from __future__ import annotations

import functools
import logging
import re
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import httpx2
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)
from unearth import PackageFinder
from unearth.auth import MultiDomainBasicAuth
from unearth.collector import SUPPORTED_CONTENT_TYPES, is_secure_origin
from unearth.fetchers import Fetcher
from unearth.fetchers.sync import PyPIClient
from unearth.link import Link

from patchkit import __version__
from patchkit.drift.index_pages import ABSENT, BadPageError, check_whole
from patchkit.errors import PatchkitError
from patchkit.packages import PATIENCE, PackageSettings, host, local

ATTEMPTS = 4
PAUSE = wait_exponential(multiplier=0.3, max=4) + wait_random(0, 0.3)  # seconds
LONGEST_PAUSE = 20.0  # seconds, when a server asks for one
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
WHOLE = 4.0
"""A whole page may take this many times the user's timeout for a single response."""

Answer = TypeVar("Answer")

logging.getLogger("unearth").addHandler(logging.NullHandler())  # what matters of its warnings is said here


class UnreachableError(Exception):
    """A package index, or a file in it, cannot be reached; the text is a clause for a message."""


class NoPartsError(Exception):
    """The server does not support range requests."""


class HttpClient(PyPIClient):
    """Requests with the user's certificate, proxy, credentials and timeout; transient failures are retried.

    One client serves many threads.
    """

    def __init__(self, chosen: PackageSettings) -> None:
        """Raises a PatchkitError if a certificate, a proxy or a host among the settings is invalid."""
        try:
            proxy: dict[str, Any] = {"proxy": chosen.proxy} if chosen.proxy else {}
            super().__init__(
                trusted_hosts=chosen.trusted_hosts,
                verify=_certificates(chosen),
                timeout=httpx2.Timeout(chosen.timeout, connect=min(chosen.timeout, PATIENCE)),
                follow_redirects=True,
                headers={"User-Agent": f"patchkit/{__version__}"},
                **proxy,
            )
        except (OSError, ValueError, httpx2.InvalidURL) as error:
            raise PatchkitError(
                f"the package settings cannot be used: {error}",
                "correct the certificate or proxy in pip's or uv's settings",
            ) from error
        addresses = (*chosen.indexes, *chosen.find_links)
        self.auth = MultiDomainBasicAuth(prompting=False, index_urls=[url for url in addresses if local(url) is None])
        self._plain = {urlsplit(url) for url in addresses if urlsplit(url).scheme == "http"}
        self._page_limit = WHOLE * chosen.timeout
        self.answers: list[tuple[int, int | None]] = []
        """Status, and serial if there is one, of every page since its reader last cleared this."""

    def iter_secure_origins(self) -> Iterator[tuple[str, str, str]]:
        """Origins to take packages from: also a plain http one that the user names, as uv does."""
        yield from super().iter_secure_origins()
        for parts in self._plain:
            yield ("http", parts.hostname or "", str(parts.port or "*"))

    def get(self, url: Any, **options: Any) -> httpx2.Response:
        """A whole page of an index; an absent one is returned as such, any other failure raises.

        Truncated pages and transient failures are retried.

        Raises:
            UnreachableError: no answer, or not one that an index gives.
        """
        with plain_reason(str(url)):
            response = with_retries(lambda: self._page(str(url), options))
        self.answers.append((response.status_code, _serial(response)))
        return response

    def _page(self, url: str, options: dict[str, Any]) -> httpx2.Response:
        with self.stream("GET", url, **options) as response:
            _unless_busy(response)
            if isinstance(response.stream, httpx2.SyncByteStream):
                response.stream = DeadlineStream(response.stream, self._page_limit)
            content = response.read()
        if response.status_code in ABSENT:
            return response
        if response.is_error:
            raise UnreachableError(_refusal(url, response))
        kind = response.headers.get("Content-Type", "")
        if not kind.lower().startswith(SUPPORTED_CONTENT_TYPES):
            raise UnreachableError(f"{host(url)} answers with something that is no package index")
        check_whole(content, kind)
        return response

    def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """Send, with retries; a stream is retried by its reader."""
        if stream:
            return super().send(request, stream=True, **options)
        try:
            return with_retries(lambda: _unless_busy(super(HttpClient, self).send(request, **options)))
        except BusyError as busy:
            return busy.response

    def part(self, url: str, wanted: str) -> tuple[bytes, int]:
        """A part of a file, and the offset of its first byte.

        Args:
            wanted: the ``Range``, such as ``bytes=0-99``.

        Raises:
            NoPartsError: the server does not send parts, or not such ones.
            UnreachableError: it cannot be reached.
        """
        headers = {"Range": wanted, "Accept-Encoding": "identity"}
        return self._read(url, headers, _whole_part)

    def whole(self, url: str, take: Callable[[Iterator[bytes], int | None], Answer]) -> Answer:
        """What ``take`` makes of all the bytes of a file and their number, if that is known; it may be called again.

        Raises:
            UnreachableError: it cannot be reached.
        """

        def taken(response: httpx2.Response) -> Answer:
            size = response.headers.get("Content-Length", "")
            return take(response.iter_bytes(1 << 18), int(size) if size.isdigit() else None)

        return self._read(url, {"Accept-Encoding": "identity"}, taken)

    def size(self, url: str) -> int:
        """Bytes of a file.

        Raises:
            NoPartsError: the server does not say.
            UnreachableError: it does not answer.
        """
        with plain_reason(url):
            response = self.head(url, headers={"Accept-Encoding": "identity"})
        if response.is_error or not response.headers.get("Content-Length", "").isdigit():
            raise NoPartsError
        return int(response.headers["Content-Length"])

    def _read(self, url: str, headers: dict[str, str], take: Callable[[httpx2.Response], Answer]) -> Answer:
        def attempt() -> Answer:
            with self.stream("GET", url, headers=headers) as response:
                _unless_busy(response)
                if response.status_code in (400, 416, 501) and "Range" in headers:
                    raise NoPartsError
                if response.is_error:
                    raise UnreachableError(_refusal(url, response))
                return take(response)

        with plain_reason(url):
            return with_retries(attempt)


def _refusal(url: str, response: httpx2.Response) -> str:
    return f"{host(url)} answers {response.status_code} {response.reason_phrase}".rstrip()


def _serial(response: httpx2.Response) -> int | None:
    said = response.headers.get("X-PyPI-Last-Serial", "")
    return int(said) if said.isascii() and said.isdigit() else None


class DeadlineStream(httpx2.SyncByteStream):
    """A body that must be complete within ``limit`` seconds; a slow trickle would never hit the read timeout."""

    def __init__(self, body: httpx2.SyncByteStream, limit: float) -> None:
        self._body, self._until = body, time.monotonic() + limit

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._body:
            if time.monotonic() > self._until:
                raise httpx2.ReadTimeout("a page took too long")
            yield chunk

    def close(self) -> None:
        self._body.close()


class BusyError(Exception):
    """A response that may succeed when retried."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__(f"{response.status_code} {response.reason_phrase}".rstrip())
        self.response = response


def with_retries(call: Callable[[], Answer]) -> Answer:
    """The result of ``call``, retried on transient failures; raises what the last attempt raises."""
    failures = retry_if_exception_type((httpx2.TransportError, BusyError, BadPageError))
    return Retrying(retry=failures, stop=stop_after_attempt(ATTEMPTS), wait=_pause, reraise=True)(call)


def _pause(state: RetryCallState) -> float:
    """Seconds before the next attempt: what the server asks for, within reason, else a growing time."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.response.headers.get("Retry-After", "") if isinstance(error, BusyError) else ""
    return min(float(asked), LONGEST_PAUSE) if asked.isdigit() else PAUSE(state)


@contextmanager
def plain_reason(url: str) -> Iterator[None]:
    """Turn what the HTTP library raises into :class:`UnreachableError`."""
    try:
        yield
    except BusyError as busy:
        raise UnreachableError(f"{host(url)} answers {busy}") from busy
    except BadPageError as error:
        raise UnreachableError(f"{host(url)} {error}") from error
    except httpx2.TimeoutException as error:
        raise UnreachableError(f"{host(url)} does not answer in time") from error
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as error:
        raise UnreachableError(f"{host(url)}: {str(error) or type(error).__name__}") from error


def _unless_busy(response: httpx2.Response) -> httpx2.Response:
    if response.status_code in BUSY:
        raise BusyError(response)
    return response


def _whole_part(response: httpx2.Response) -> tuple[bytes, int]:
    """The body and where it begins, if it is as long as its ``Content-Range`` says."""
    ends = re.match(r"bytes (\d+)-(\d+)/", response.headers.get("Content-Range", ""))
    if response.status_code != 206 or ends is None:
        raise NoPartsError
    content, start = response.read(), int(ends[1])
    if len(content) != int(ends[2]) - start + 1:
        raise httpx2.RemoteProtocolError("a part of a file came truncated")
    return content, start


def _certificates(chosen: PackageSettings) -> ssl.SSLContext | bool:
    if chosen.certificate is None and chosen.client_certificate is None:
        return True
    place = chosen.certificate
    folder = place is not None and Path(place).is_dir()
    context = ssl.create_default_context(cafile=None if folder else place, capath=place if folder else None)
    if chosen.client_certificate:
        context.load_cert_chain(chosen.client_certificate)
    return context


@functools.cache
def client_for(chosen: PackageSettings) -> HttpClient:
    """One client for all that is read, so that connections are used again."""
    return HttpClient(chosen)


def finder(chosen: PackageSettings, client: HttpClient) -> PackageFinder:
    """Finds every file of a package, for any platform.

    Raises:
        UnreachableError: a place that unearth would pass over, for it is neither encrypted nor trusted.
    """
    fetcher = cast("Fetcher", client)
    for url in (*chosen.indexes, *chosen.find_links):
        if not is_secure_origin(fetcher, Link(url)):
            raise UnreachableError(f"{host(url)} is not to be trusted: name it in trusted-host, or use https")
    found = PackageFinder(fetcher, trusted_hosts=chosen.trusted_hosts, ignore_compatibility=True)
    found.sources.clear()
    for url in chosen.indexes:
        found.add_index_url(url)
    for url in chosen.find_links:
        found.add_find_links(url)
    return found
