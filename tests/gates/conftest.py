"""A worker without vLLM, and a project whose runtime is made up."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from patchkit import cli
from patchkit.gates.worker_client import WorkerClient

sys.path.insert(0, str(Path(__file__).parent))

from made_up import MadeUp, made_up_tree

FAKE_WORKER = Path(__file__).parent / "fake_worker.py"


@pytest.fixture
def server() -> Iterator[Callable[..., WorkerClient]]:
    """Start fake workers; all of them end with the test."""
    started: list[WorkerClient] = []

    def start(workers: int = 2, python: str = sys.executable, **options: Any) -> WorkerClient:
        environment = SimpleNamespace(release="0.20.0", python=Path(python), variables=options.pop("variables", {}))
        started.append(WorkerClient(environment, workers, worker=FAKE_WORKER, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def patchkit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command line; returns exit code, stdout, stderr."""

    def run(*words: str) -> tuple[Any, str, str]:
        monkeypatch.setattr("sys.argv", ["patchkit", *words])
        with pytest.raises(SystemExit) as left:
            cli.main()
        said = capsys.readouterr()
        return left.value.code, said.out, said.err

    return run


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    """A project in the current folder whose scenarios run on the fake worker."""
    import patchkit.environments
    import patchkit.series

    def ensure(release: str, device: str, python: Path | None = None, runner: str = "v1") -> SimpleNamespace:
        return SimpleNamespace(release=release, device=device, python=Path(sys.executable), variables={})

    monkeypatch.setattr(patchkit.environments, "ensure", ensure)
    monkeypatch.setattr(patchkit.environments, "obtainable", lambda *_: Path(sys.executable))
    monkeypatch.setattr(patchkit.environments, "ensure_model", Path)
    monkeypatch.setattr(patchkit.series, "patched_tree", made_up_tree)
    monkeypatch.setattr("patchkit.gates.worker_client.WORKER", FAKE_WORKER)
    monkeypatch.setenv("PATCHKIT_VLLM", "0.20.0")
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    return MadeUp(root)
