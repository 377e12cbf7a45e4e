"""A package index on this machine for made-up releases of vLLM, with faults that can be switched on."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import re
import tarfile
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

HERE = "manylinux_2_17_x86_64.manylinux_2_17_aarch64"
"""Platform tags of a wheel that fits the machines these tests run on."""
FOREIGN = "win32"
MODULES = {
    "vllm/__init__.py": "VERSION = 'made up'\n",
    "vllm/engine/core.py": "class Core:\n    def step(self):\n        return 1, 2\n",
    "vllm/engine/words.py": "WORD = 'Größe ✓'\r\n",
    "vllm/layers/norm.py": "def norm(x):\n    return x\n" * 50,
}


@dataclass
class Entry:
    """A file in the index."""

    content: bytes
    sha256: str | None
    yanked: str | bool = False
    uploaded: str | None = None


@dataclass
class Faults:
    """What goes wrong; numbers count down to nothing."""

    no_ranges: bool = False
    no_suffix: bool = False
    broken: int = 0  # requests answered with 500
    throttled: int = 0  # with 429
    dropped: int = 0  # connections closed in the middle of a body
    short: int = 0  # parts shorter than they say
    forbidden: bool = False
    garbage: bool = False
    instead: dict[str, tuple[int, bytes, str]] = field(default_factory=dict)  # by package: status, body, content type
    cut: dict[str, int] = field(default_factory=dict)  # by package: how many pages come half, with a right length
    silent: dict[str, float] = field(default_factory=dict)  # by package: seconds before its page comes
    dripped: dict[str, float] = field(default_factory=dict)  # by package: seconds between two bytes
    user: str | None = None  # "name:password" that is asked for


@dataclass
class Index:
    """The server and what it was asked."""

    address: str
    files: dict[str, dict[str, Entry]] = field(default_factory=dict)
    form: str = "json"
    faults: Faults = field(default_factory=Faults)
    serials: dict[str, int] = field(default_factory=dict)  # by package: its last change, as PyPI sends it
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    sent: int = 0
    server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://{self.address}/simple/"

    def add(self, filename: str, content: bytes | None = None, hashed: bool = True, **facts: str | bool) -> bytes:
        """Publish a file: by its name a wheel or a source archive of :data:`MODULES`."""
        if content is None:
            content = wheel_of(MODULES) if filename.endswith(".whl") else archive_of(MODULES, filename)
        distribution = re.split(r"-\d", filename)[0].replace("_", "-")
        digest = hashlib.sha256(content).hexdigest() if hashed else None
        self.files.setdefault(distribution, {})[filename] = Entry(content, digest, **facts)  # type: ignore[arg-type]
        return content

    def asked_for(self, ending: str) -> list[tuple[str, str, str]]:
        """Requests whose path ends so: method, path, range."""
        return [request for request in self.requests if request[1].endswith(ending)]

    def stop(self) -> None:
        """From now on nobody answers."""
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


def wheel_of(modules: Mapping[str, str], padding: int = 60_000) -> bytes:
    """A wheel: the modules, and between them what cannot be compressed."""
    noise = random.Random(7)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (path, text) in enumerate(modules.items()):
            archive.writestr(path, text.encode())
            if padding and number % 2:
                archive.writestr(f"vllm/_C{number}.so", noise.randbytes(padding))
        archive.writestr("vllm-9.dist-info/METADATA", "Version: 9\n")
        archive.writestr("other/module.py", "no = 'part of it'\n")
    return file.getvalue()


def archive_of(modules: Mapping[str, str], filename: str) -> bytes:
    """A source archive with one top folder."""
    top = filename.removesuffix(".tar.gz")
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for path, text in {**modules, "setup.py": "", "tests/test_vllm.py": "", "vllm/kernel.cu": "x" * 9999}.items():
            member = tarfile.TarInfo(f"{top}/{path}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return file.getvalue()


class Handler(BaseHTTPRequestHandler):
    """Simple index pages in both forms, and files by ranges."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    index: Index

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        index, faults, path = self.index, self.index.faults, unquote(self.path)
        if index.server is None:
            self.close_connection = True
            return None
        index.requests.append((self.command, path, self.headers.get("Range", "")))
        if faults.user is not None:
            word = base64.b64encode(faults.user.encode()).decode()
            if self.headers.get("Authorization") != f"Basic {word}":
                return self.answer(401, b"who are you?", {"WWW-Authenticate": "Basic"})
        for name, status in (("broken", 500), ("throttled", 429)):
            if getattr(faults, name) > 0:
                setattr(faults, name, getattr(faults, name) - 1)
                return self.answer(status, b"later", {"Retry-After": "0"})
        if faults.forbidden:
            return self.answer(403, b"no")
        if path.startswith("/simple/"):
            return self.page(path.split("/")[2])
        distribution, filename = path.split("/")[2:4]
        return self.file(index.files[distribution][filename].content)

    def page(self, distribution: str) -> None:
        files = self.index.files.get(distribution)
        if self.index.faults.garbage:
            return self.answer(200, b"log in first", {"Content-Type": "text/plain"})
        faults = self.index.faults
        time.sleep(faults.silent.get(distribution, 0))
        if distribution in faults.instead:
            status, body, kind = faults.instead[distribution]
            return self.answer(status, body, {"Content-Type": kind})
        if files is None:
            return self.answer(404, b"no such package")
        as_json = self.index.form == "json"
        body = self.as_json(distribution, files) if as_json else self.as_html(distribution, files)
        if faults.cut.get(distribution, 0) > 0:
            faults.cut[distribution] -= 1
            body = body[: len(body) * 2 // 3]
        kind = "application/vnd.pypi.simple.v1+json" if as_json else "text/html; charset=utf-8"
        serial = self.index.serials.get(distribution)
        known = {} if serial is None else {"X-PyPI-Last-Serial": str(serial)}
        return self.answer(200, body, {"Content-Type": kind, **known}, faults.dripped.get(distribution, 0))

    @staticmethod
    def as_json(distribution: str, files: Mapping[str, Entry]) -> bytes:
        listed = [
            {
                "filename": name,
                "url": f"../../files/{distribution}/{name}",
                "hashes": {"sha256": entry.sha256} if entry.sha256 else {},
                "yanked": entry.yanked,
                **({"upload-time": entry.uploaded} if entry.uploaded else {}),
            }
            for name, entry in files.items()
        ]
        return json.dumps({"meta": {"api-version": "1.1"}, "name": distribution, "files": listed}).encode()

    @staticmethod
    def as_html(distribution: str, files: Mapping[str, Entry]) -> bytes:
        lines = []
        for name, entry in files.items():
            mark = f"#sha256={entry.sha256}" if entry.sha256 else ""
            yanked = (
                "" if entry.yanked is False else f' data-yanked="{entry.yanked if entry.yanked is not True else ""}"'
            )
            lines.append(f'<a href="../../files/{distribution}/{name}{mark}"{yanked}>{name}</a>')
        return f"<!DOCTYPE html><html><body>{'<br>'.join(lines)}</body></html>".encode()

    def file(self, content: bytes) -> None:
        faults, wanted = self.index.faults, re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if wanted is None or faults.no_ranges:
            return self.answer(200, content)
        if faults.no_suffix and not wanted[1]:
            return self.answer(416, b"")
        first = int(wanted[1]) if wanted[1] else max(0, len(content) - int(wanted[2]))
        last = min(int(wanted[2]), len(content) - 1) if wanted[1] and wanted[2] else len(content) - 1
        part = content[first : last + 1]
        if faults.short > 0:
            faults.short -= 1
            part = part[:-1]
        return self.answer(206, part, {"Content-Range": f"bytes {first}-{last}/{len(content)}"})

    def answer(self, status: int, body: bytes, headers: Mapping[str, str] = {}, drip: float = 0) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if status < 300 and self.index.faults.dropped > 0:
            self.index.faults.dropped -= 1
            body, self.close_connection = body[: len(body) // 2], True
        self.index.sent += len(body)
        for at in range(len(body)) if drip else ():
            self.wfile.write(body[at : at + 1])
            time.sleep(drip)
        self.wfile.write(b"" if drip else body)


class Server(ThreadingHTTPServer):
    """Silent about clients that hang up, as one does that learns that there are no parts."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass
