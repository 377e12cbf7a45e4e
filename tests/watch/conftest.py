"""A recorded index, and none of the user's own settings, cache or runner."""

from __future__ import annotations

import os
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tenacity import wait_none

from patchkit.drift import http_client
from patchkit.environments import lock

sys.path += [str(Path(__file__).parent), str(Path(__file__).parent.parent / "drift")]

from local_index import Handler, Index, Server
from watched import Watched, make_runtime


@pytest.fixture(scope="session")
def made_up_runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_runtime(tmp_path_factory.mktemp("runtime") / "toy")


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """The only index that is asked, on this machine."""
    for name in list(os.environ):
        if re.match(r"PIP_|UV_|GITHUB_|.*_PROXY$|.*_proxy$|NETRC|PYTEST_ADDOPTS", name):
            monkeypatch.delenv(name)
    server = Server(("127.0.0.1", 0), Handler)
    index = Index(f"127.0.0.1:{server.server_address[1]}", server=server)
    server.RequestHandlerClass = type("Bound", (Handler,), {"index": index})
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("NETRC", os.devnull)
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
    monkeypatch.setenv("PATCHKIT_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(http_client, "PAUSE", wait_none())
    http_client.client_for.cache_clear()
    yield index
    index.stop()


@pytest.fixture
def watched(recorded: Index, made_up_runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """In the project's folder; vLLM 0.19.0 is in the index and proven, and no release has a lock."""
    root = tmp_path / "project"
    shutil.copytree(made_up_runtime, root / "patches" / "toy")
    (root / "scenarios").mkdir()
    monkeypatch.setattr(lock, "FOLDER", tmp_path / "locks")
    monkeypatch.chdir(root)
    return Watched(root, recorded)
