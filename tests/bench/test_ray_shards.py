"""Shards on Ray, a real one on this host: the samples are those of one worker here, and whatever dies is one line."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest
from made_draws import plan

from patchkit.bench import ray_shards as module
from patchkit.bench.digests import digest
from patchkit.bench.journal import Journal
from patchkit.bench.progress import show_progress
from patchkit.bench.ray_shards import NodeInterpreter, ray_shards
from patchkit.bench.sampling import DrawRequest, draw
from patchkit.bench.shards import DrawError, Drawing, Shard
from patchkit.errors import PatchkitError
from patchkit.evals.grader_pool import Grading
from patchkit.evals.tasks.base import Problem, Task
from patchkit.gates.worker_client import WorkerClient

NO_RAY = "Ray is an extra: `./go test --e2e` and `pip install 'patchkit[ray]'` install it"
WORKER = Path(__file__).parent / "drawing_worker.py"
HERE = NodeInterpreter("0.20.0", Path(sys.executable), {})
NOWHERE = replace(HERE, python=Path("/no/python"))
N = 3
PROBLEMS = tuple(Problem(id=f"p/{i}", chat=f"chat {i}", plain=f"plain {i}", reference="1") for i in range(7))
TASK = Task(
    name="t",
    about="",
    problems=PROBLEMS,
    grader="patchkit.evals.graders.integer:grade",
    max_tokens=8,
    digest="d",
)


def workspace(server: WorkerClient | None = None, device: str = "cpu", interpreter: NodeInterpreter = HERE) -> Any:
    return SimpleNamespace(
        settings=SimpleNamespace(device=device), environment=interpreter, variables={}, worker_client=server
    )


@pytest.fixture(scope="module")
def here() -> Iterator[WorkerClient]:
    with WorkerClient(HERE, worker=WORKER) as server:
        yield server


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster of one host with two processors and, as far as Ray is to know, two GPUs."""
    pytest.importorskip("ray", reason=NO_RAY)
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 2, "num_gpus": 2, "include_dashboard": False, "object_store_memory": module.STORE}
    one = Cluster(initialize_head=True, head_node_args=head)
    yield one.address
    one.shutdown()


@pytest.fixture(scope="module")
def shards(cluster: str, here: WorkerClient) -> Iterator[list[Shard]]:
    with ray_shards(workspace(here, "cuda"), 2, cluster, WORKER) as shards:
        yield shards


@pytest.fixture(scope="module")
def grading() -> Iterator[Grading]:
    with Grading(TASK.grader, workers=1) as grading:
        yield grading


@contextmanager
def journal(home: Path) -> Iterator[Journal]:
    with Journal(home, plan(n=N), [problem.id for problem in PROBLEMS]) as one:
        yield one


def asked(model: str = "some/id", **end: float) -> dict[str, Any]:
    spec = {"patched": False, "n": N, "max_tokens": 8, "sampling": {}, "engine": {}, "runtime": end}
    return {"model": model, "tree": None, "start": "", "defaults": {}, "device": "cpu", "draw": spec}


def draw_on(shards: Sequence[Shard], one: Journal, grading: Grading, **changes: Any) -> None:
    with show_progress("made up", 8) as watch:
        draw(one, TASK, DrawRequest(asked(**changes), shards), grading, watch)


def drawn(one: Journal) -> set[tuple[str, int, int, str]]:
    return {(sample.problem, sample.sample, sample.seed, sample.text) for sample in one.samples.values()}


@pytest.fixture(scope="module")
def expected(here: WorkerClient, grading: Grading, tmp_path_factory: pytest.TempPathFactory) -> set[Any]:
    with journal(tmp_path_factory.mktemp("here")) as one:
        draw_on([here], one, grading)
        assert len(drawn(one)) == N * len(PROBLEMS)
        return drawn(one)


@pytest.mark.parametrize(
    ("count", "interpreter", "said"),
    [
        (3, HERE, "3 shards, but Ray"),
        (
            1,
            replace(HERE, python=Path("/no/python")),
            ": there is no /no/python; every host needs the same environment",
        ),
        (1, replace(HERE, variables={"DRAWING_VLLM": "0.19.1"}), " has vllm 0.19.1, this host 0.20.0"),
    ],
)
def test_a_cluster_that_does_not_fit_is_refused(
    cluster: str, here: WorkerClient, count: int, interpreter: NodeInterpreter, said: str
) -> None:
    with (
        pytest.raises(PatchkitError) as error,
        ray_shards(workspace(here, interpreter=interpreter), count, cluster, WORKER),
    ):
        pass
    assert said in str(error.value)


def test_the_samples_are_those_of_one_worker_here(
    shards: list[Shard], expected: set[Any], grading: Grading, tmp_path: Path
) -> None:
    with journal(tmp_path) as one:
        draw_on(shards, one, grading)
        assert drawn(one) == expected and one.complete
        assert one.sessions[0].tokens == 3 * len(expected)


def test_each_worker_sees_the_gpu_that_its_actor_has(shards: list[Shard]) -> None:
    request = asked()
    request["draw"]["problems"] = []
    counted = [shard.enqueue(request, Drawing(SimpleQueue()), patience=30) for shard in shards]
    loaded = [future.result(60).loaded for future in counted]
    assert {one.engine["seen"] for one in loaded if one} == {"0", "1"}


def test_what_a_dead_worker_told_is_kept_and_the_rest_drawn_later(
    shards: list[Shard], expected: set[Any], grading: Grading, tmp_path: Path
) -> None:
    with journal(tmp_path) as one:
        with pytest.raises(DrawError) as error:
            draw_on(shards, one, grading, die=4)
        assert str(error.value).startswith("shard 1 on ")
        assert str(error.value).endswith(": the worker ended with exit code 3: libtorch.so: cannot allocate memory")
        assert len(drawn(one)) == 2 * 4 and drawn(one) < expected
    with journal(tmp_path) as one:
        draw_on(shards, one, grading)
        assert drawn(one) == expected


def test_another_model_in_the_same_place_is_refused(
    shards: list[Shard], grading: Grading, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    with journal(tmp_path) as one:
        draw_on(shards, one, grading, model=str(model))
    monkeypatch.setattr(module, "digest", lambda place: "what the driver has")  # not in the actors' processes
    with journal(tmp_path / "other") as one, pytest.raises(PatchkitError) as error:
        draw_on(shards, one, grading, model=str(model))
    assert f": {model} is not what it is on the driver's host; every host needs the same" in str(error.value)


def test_a_dead_actor_is_one_line_and_what_it_streamed_is_kept(
    shards: list[Shard], expected: set[Any], grading: Grading, tmp_path: Path
) -> None:
    with journal(tmp_path) as one:
        with pytest.raises(DrawError, match=r"^shard [12] on \S+ is lost: .+$") as error:
            draw_on(shards, one, grading, murder=3, pause=0.1)
        assert "\n" not in str(error.value)
        assert drawn(one) and drawn(one) < expected


def test_no_cluster_is_one_line() -> None:
    pytest.importorskip("ray", reason=NO_RAY)
    for address in ("127.0.0.1:1", "nonsense", "ray://127.0.0.1:1"):
        with pytest.raises(PatchkitError, match=f"^Ray \\({address}\\): .+; .+$"), ray_shards(workspace(), 1, address):
            pass


def test_no_ray_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    counted = r"^Ray is not there: .+; pip install 'patchkit\[ray\]'$"
    with pytest.raises(PatchkitError, match=counted), ray_shards(workspace(), 1, "local"):
        pass


def test_folders_are_told_apart_by_what_is_in_them(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    before = digest(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "index").write_text("1")
    assert digest(tmp_path) == before
    (tmp_path / "a.py").write_text("2")
    changed = digest(tmp_path)
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert len({before, changed, digest(tmp_path)}) == 3


INTERRUPTED = """
import sys
from contextlib import suppress
from test_ray_shards import *
with WorkerClient(HERE, worker=WORKER) as here, ray_shards(workspace(here), 2, "local", WORKER) as shards:
    with Grading(TASK.grader, workers=1) as grading, journal(Path(sys.argv[1])) as one:
        with suppress(DrawError):
            draw_on(shards[:1], one, grading, murder=0)  # of which Ray has much to say
        draw_on(shards[1:], one, grading, pause=2)
"""


def test_ctrl_c_leaves_no_process_and_nothing_on_stdout(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason=NO_RAY)
    mark = f"PATCHKIT_TEST={uuid.uuid4()}"
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, tmp_path],
        cwd=Path(__file__).parent,
        env={**os.environ, **dict([mark.split("=")])},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: process.poll() is not None or any_sample(tmp_path), 60)
        there = marked(mark)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=60)[0]
        assert process.returncode not in (0, None) and said == b""
        assert any("raylet" in command for command in there.values())
        assert any(WORKER.name in command for command in there.values())
        wait_until(lambda: not marked(mark), 20)
        assert marked(mark) == {}
    finally:
        for pid in marked(mark):
            os.kill(pid, signal.SIGKILL)


def any_sample(home: Path) -> bool:
    """Whether a sample is on disk in any journal."""
    for path in home.glob("*/draw.sqlite"):
        with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            if database.execute("SELECT COUNT(*) FROM samples").fetchone()[0]:
                return True
    return False


def wait_until(done: Any, seconds: float) -> None:
    """Wait, in vain if need be."""
    until = time.monotonic() + seconds
    while not done() and time.monotonic() < until:
        time.sleep(0.2)


def marked(mark: str) -> dict[int, str]:
    """The processes that have a mark in their environment, and their commands."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found
