"""Real vLLM 0.20.0 on the CPU, through the command line, in a state folder of the tests' own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RELEASE = "0.20.0"
CHECKOUT = Path(__file__).resolve().parents[2]

Patchkit = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder ``e2e``; pytest passes the items of all folders."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("e2e")


@pytest.fixture(scope="session")
def patchkit() -> Patchkit:
    """Runs ``patchkit`` as a user does, in the checkout; returns the finished process."""

    def run(*arguments: str, cwd: Path = CHECKOUT) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "patchkit", *arguments]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=os.environ | {"COLUMNS": "120"})

    return run


@pytest.fixture(scope="session")
def gated(patchkit: Patchkit, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The evidence of one whole run of the gates on the whole series."""
    path = tmp_path_factory.mktemp("gate") / "evidence.json"
    done = patchkit("gate", "--vllm", RELEASE, "--json", "--evidence", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout) == json.loads(path.read_text())
    return json.loads(done.stdout)
