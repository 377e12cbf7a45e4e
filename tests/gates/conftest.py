"""A worker without vLLM, for the tests of the process boundary."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from patchkit.gates.server import WorkerServer

sys.path.insert(0, str(Path(__file__).parent))
FAKE_WORKER = Path(__file__).parent / "fake_worker.py"


@pytest.fixture
def server() -> Iterator[Callable[..., WorkerServer]]:
    """Start fake workers; all of them are ended when the test is over."""
    started: list[WorkerServer] = []

    def start(workers: int = 2, python: str = sys.executable, **options: Any) -> WorkerServer:
        environment = SimpleNamespace(python=Path(python), variables=options.pop("variables", {}))
        started.append(WorkerServer(environment, workers, worker=FAKE_WORKER, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()
