"""A real server of vLLM 0.20.0 on the CPU, without a runtime: what is drawn through it is what workers draw."""

from __future__ import annotations

import gzip
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from patchkit import Bench, VLLMClient
from patchkit.client import Limits
from patchkit.client.requests import ServerError
from patchkit.environments import ensure, ensure_model

from .conftest import CHECKOUT, RELEASE, Patchkit

PROBLEMS, N, TOKENS = 6, 4, 48


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of the tiny model, in float32 as workers have it."""
    environment = ensure(RELEASE, "cpu")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--model", str(ensure_model("tiny")), "--served-model-name", "tiny", "--host", "127.0.0.1"]
    words += ["--port", str(port), "--dtype", "float32", "--enforce-eager"]
    variables = {name: value for name, value in environment.variables.items() if "MULTIPROCESSING" not in name}
    # A core for the engine's worker, which is a process of its own.
    variables["VLLM_CPU_OMP_THREADS_BIND"] = str(min(os.sched_getaffinity(0)))
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("w") as out:
        server = subprocess.Popen(
            [environment.python, "-m", "vllm.entrypoints.openai.api_server", *words],
            env=os.environ | variables,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        client, until = VLLMClient(f"http://127.0.0.1:{port}", limits=Limits(retries=0)), time.monotonic() + 600
        while True:
            try:
                client.version()
                break
            except ServerError:
                assert server.poll() is None and time.monotonic() < until, log.read_text()[-3000:]
                time.sleep(1.0)
        yield client.url
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with our patches and scenarios, a task, and journals of its own."""
    root = tmp_path_factory.mktemp("project")
    for name in ("patches", "scenarios"):
        (root / name).symlink_to(CHECKOUT / name)
    lines = [{"id": f"p{i}", "prompt": " ".join("abcdefgh"[: i + 1]), "reference": str(i)} for i in range(PROBLEMS)]
    (root / "task.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root


def drawn(project: Path, patchkit: Patchkit, name: str, *more: str) -> dict[tuple[str, int], tuple[int, str, int, str]]:
    """Seed, text, tokens and end of every sample."""
    task = ["--task", "task.jsonl", "--grader", "integer", "--n", str(N), "--max-tokens", str(TOKENS)]
    where = ["--modes", "baseline", "--evidence", str(project / f"{name}.json")]
    done = patchkit("bench", "accuracy", *task, *where, *more, cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = gzip.decompress((project / f"{name}.samples.jsonl.gz").read_bytes()).decode().splitlines()
    return {
        (one["problem"], one["sample"]): (one["seed"], one["text"], one["tokens"], one["finish"])
        for one in map(json.loads, lines)
    }


def test_samples_are_those_that_workers_draw(url: str, project: Path, patchkit: Patchkit) -> None:
    served = drawn(project, patchkit, "served", "--url", url)
    record = json.loads((project / "served.json").read_text())
    assert (record["server"]["version"], record["release"], record["device"]) == (RELEASE, RELEASE, "unknown")
    assert len(served) == PROBLEMS * N
    assert served == drawn(project, patchkit, "worked", "--vllm", RELEASE, "--model", "tiny", "--unproven")


def test_two_modes_of_a_server_without_a_runtime_are_alike_and_not_observed(url: str) -> None:
    client = VLLMClient(url, counters="esamp_counters")
    off, on = client.with_runtime(esamp=False), client.with_runtime(esamp=True, esamp_beta=0.5)
    assert [one.sample("a b c", n=3, seed=7, max_tokens=16) for one in (off, on)] == [
        client.sample("a b c", n=3, seed=7, max_tokens=16)
    ] * 2, "vLLM passes over keys that nobody reads"
    found = Bench(off, on).run(["a b c", "d e f"], n=2, max_tokens=8, pairs=5)
    assert [run.tokens for run in (*found.before, *found.after)] == [2 * 2 * 8] * 10
    assert found.after[0].counters is None
