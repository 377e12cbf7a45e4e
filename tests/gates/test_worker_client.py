"""The process boundary: whatever the worker does, a run is returned, with the reason in one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from itertools import pairwise
from math import inf
from pathlib import Path

import pytest
from runs import FAKE_WORKER, make_part, make_runtime, make_scenario

from patchkit.errors import PatchkitError
from patchkit.gates.evidence import Verdict
from patchkit.gates.gpus import gpus_for, how_many_workers
from patchkit.gates.part_run import Run
from patchkit.gates.verdict import judge
from patchkit.gates.worker_client import OVER_LIMIT, Job, WorkerClient

Start = Callable[..., WorkerClient]


def submit(worker: WorkerClient, act: str, limit: float = 20, alone: bool = False) -> Future[Run]:
    part = make_part("alive", engine={"act": act})
    runtime = make_runtime()
    return worker.submit(part, scenario="made_up", model="m", tree=None, runtime=runtime, limit=limit, alone=alone)


def verdict_of(worker: WorkerClient, act: str, limit: float = 20) -> Verdict:
    return judge(make_scenario("alive"), [submit(worker, act, limit).result(30)])


def _text(run: Run) -> str | None:
    assert run.result, run.trouble
    return run.result.passes[0].calls[0].outputs[0].text


def test_a_good_run_is_green(server: Start) -> None:
    verdict = verdict_of(server(), "good")
    assert verdict.passed, verdict.reason
    assert verdict.parts[0].steps == 3


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (
            "error",
            "p: IndexError: index 7 is out of bounds, at step 2 of call 0 "
            "(2 requests: 2 decode rows after 2, 0 prefill tokens), in made_up/taps.py:61 gather",
        ),
        ("killed", "p: the run was killed by SIGKILL, after step 0 of call 0 (2 requests: "),
        ("garbage", "p: the worker printed garbage: 'INFO: vLLM likes to \\x1b[31mprint"),
        ("almost", 'p: the worker printed garbage: \'{"event": "step", '),
        ("die", "p: the worker ended with exit code 3: libtorch.so: cannot allocate memory, after step 0 of call 0"),
    ],
)
def test_a_bad_run_is_red_in_one_line(server: Start, act: str, said: str) -> None:
    verdict = verdict_of(server(), act)
    assert not verdict.passed
    assert verdict.reason.startswith(said)
    assert "\n" not in verdict.reason


def test_a_figure_that_is_not_a_number_is_an_event_like_any_other(server: Start) -> None:
    run = submit(server(), "nan").result(30)
    assert not run.trouble
    assert str((run.steps[0].runtime or {})["score"]) == "nan"


def test_a_hanging_run_is_cancelled_and_the_next_one_runs(server: Start) -> None:
    worker = server(workers=1)
    hung, fine = submit(worker, "hang", limit=1), submit(worker, "good")
    verdict = judge(make_scenario("alive"), [hung.result(30)])
    said = "p: hung: no event for 1 s, its limit is 1 s, after step 0 of call 0 (2 requests"
    assert verdict.reason.startswith(said)
    assert judge(make_scenario("alive"), [fine.result(30)]).passed


def test_a_run_that_is_slow_but_not_silent_is_let_finish(server: Start) -> None:
    assert verdict_of(server(), "steady", limit=1).passed


def test_a_run_that_goes_on_for_ever_is_cancelled(server: Start) -> None:
    run = submit(server(), "endless", limit=0.5).result(30)
    assert run.trouble.startswith("not done within 1.5 s: its last event came 0 s ago")


@pytest.mark.parametrize(
    ("limit", "patience", "last_event", "said"),
    [
        (120, inf, 120.7, "not done within 120 s: its last event came 0 s ago"),  # slow, not hung
        (120, inf, 1.0, "not done within 120 s: its last event came 120 s ago"),
        (inf, 30, 90.5, "hung: no event for 30 s, its limit is 30 s"),
        (121, 121, 0.5, ""),
    ],
)
def test_which_limit_a_run_is_over(limit: float, patience: float, last_event: float, said: str) -> None:
    record = Run(make_part("alive"))
    job = Job({}, record, limit, patience, alone=False, began=0.0, last_event=last_event)
    found = job.over_limit(121.0)
    assert found == said
    assert not said or found.startswith(OVER_LIMIT)


def test_a_run_that_does_not_heed_its_cancelling_is_killed(server: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patchkit.gates.worker_client.CANCEL_LIMIT", 0.5)
    worker = server()
    run = submit(worker, "deaf", limit=0.5).result(30)
    assert run.trouble.startswith("hung: no event for")
    worker.close()


def test_after_its_death_a_worker_is_started_anew(server: Start) -> None:
    worker = server(workers=1)
    dead, fine = submit(worker, "die"), submit(worker, "good")
    assert not judge(make_scenario("alive"), [dead.result(30)]).passed
    assert judge(make_scenario("alive"), [fine.result(30)]).passed


def test_a_worker_that_keeps_dying_is_given_up(server: Start) -> None:
    worker = server(workers=1)
    runs = [submit(worker, "die") for _ in range(5)]
    assert [future.exception(60) is None for future in runs] == [True, True, True, False, False]
    with pytest.raises(PatchkitError, match="the worker died 3 times"):
        runs[-1].result()


def test_a_worker_that_dies_at_its_import_says_why(server: Start) -> None:
    worker = server(variables={"FAKE_START": "die"})
    future = submit(worker, "good")
    with pytest.raises(PatchkitError, match=r"ended with exit code 1 before it was ready: ImportError: libcudart"):
        future.result(30)
    with pytest.raises(PatchkitError, match="libcudart"):
        worker.wait_ready()
    with pytest.raises(PatchkitError, match="libcudart"):
        submit(worker, "good").result(5)


def test_a_worker_that_never_gets_ready(server: Start) -> None:
    worker = server(variables={"FAKE_START": "hang"}, ready_limit=0.5)
    with pytest.raises(PatchkitError, match=r"not ready after 0\.5 s"):
        worker.wait_ready()


def test_garbage_before_the_first_run_makes_it_red(server: Start) -> None:
    verdict = verdict_of(server(variables={"FAKE_START": "garbage"}), "good")
    assert verdict.reason == (
        "p: the worker printed garbage: 'a greeting', after step 2 of call 0 "
        "(2 requests: 2 decode rows after 2, 0 prefill tokens)"
    )


def test_an_interpreter_that_is_not_there(server: Start) -> None:
    with pytest.raises(PatchkitError, match="cannot start /no/such/python: No such file"):
        server(python="/no/such/python").wait_ready()


def test_runs_overlap_up_to_the_number_of_workers(server: Start) -> None:
    worker = server(workers=2)
    worker.wait_ready()
    began = time.monotonic()
    for future in [submit(worker, "slow") for _ in range(4)]:
        future.result(30)
    assert 0.8 <= time.monotonic() - began < 1.6


def test_runs_side_by_side_have_a_gpu_each(server: Start) -> None:
    worker = server(workers=2, gpus=["3", "5"])
    given = [_text(submit(worker, "on_gpu").result(30)) for _ in range(1)]
    given += [_text(one.result(30)) for one in [submit(worker, act) for act in ("on_gpu", "on_gpu", "on_gpu")]]
    assert set(given[1:3]) == {"3", "5"}
    assert set(given) == {"3", "5"}


def test_the_gpu_of_a_run_that_died_is_used_again(server: Start) -> None:
    worker = server(workers=1, gpus=["7"])
    submit(worker, "killed").result(30)
    assert _text(submit(worker, "on_gpu").result(30)) == "7"


def test_a_lone_run_sees_what_its_worker_sees(server: Start) -> None:
    assert _text(submit(server(workers=1), "on_gpu").result(30)) == ""


@pytest.mark.parametrize(
    ("visible", "wanted", "gpus"),
    [("0,1", None, []), ("0,1", 2, ["0", "1"]), ("0,1", 3, ["0", "1", "0"]), ("4", None, []), ("4", 2, ["4", "4"])],
)
def test_on_gpus_one_engine_runs_at_a_time_unless_more_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, visible: str, wanted: int | None, gpus: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    workers = how_many_workers(wanted, "cuda", "0.20.0")
    assert workers == (wanted or 1)
    assert gpus_for(workers, "cuda") == gpus


@pytest.mark.parametrize(("release", "most"), [("0.10.1.1", 2), ("0.10.2", 16), ("0.33.0", 16)])
def test_more_engines_than_gpus_take_are_refused(monkeypatch: pytest.MonkeyPatch, release: str, most: int) -> None:
    """Before 0.10.2 vLLM cannot load beside another engine."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert how_many_workers(most, "cuda", release) == most
    refusal = rf"{most + 1} engines of vLLM {release} .* on 2 GPUs; ask for {most} at most"
    with pytest.raises(PatchkitError, match=refusal):
        how_many_workers(most + 1, "cuda", release)


def test_a_run_that_measures_has_no_neighbour(server: Start) -> None:
    worker = server(workers=2)
    worker.wait_ready()
    ended: list[tuple[str, float, float]] = []
    futures = [(name, submit(worker, "slow", alone=name == "alone")) for name in ("first", "alone", "last")]
    for name, future in futures:
        run = future.result(30)
        ended.append((name, time.monotonic() - run.seconds, time.monotonic()))
    for (_, _, end), (_, begin, _) in pairwise(ended):
        assert begin >= end - 0.05


def test_close_cancels_what_waits_and_leaves_no_process(server: Start) -> None:
    worker = server(workers=1)
    running, waiting = submit(worker, "hang"), submit(worker, "good")
    worker.wait_ready()
    while not running.running():
        time.sleep(0.01)
    process = worker._process
    assert process
    worker.close()
    assert waiting.cancelled()
    with pytest.raises(PatchkitError, match="closed"):
        running.result(1)
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_a_worker_ends_when_its_client_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "client.py"
    script.write_text(
        "import sys, time\nfrom pathlib import Path\nfrom types import SimpleNamespace\n"
        "from patchkit.gates.worker_client import WorkerClient\n"
        "environment = SimpleNamespace(python=Path(sys.executable), variables={})\n"
        f"server = WorkerClient(environment, worker=Path({str(FAKE_WORKER)!r}))\n"
        "server.wait_ready()\nprint(server._process.pid, flush=True)\ntime.sleep(60)\n"
    )
    client = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE)
    assert client.stdout
    pid = int(client.stdout.readline())
    client.send_signal(signal.SIGKILL)
    client.wait()
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split(")")[1][:3]:
            return
        time.sleep(0.05)
    pytest.fail("the worker outlived its client")


def test_the_worker_is_told_what_the_runtime_declares(server: Start) -> None:
    part = make_part("alive", engine={"act": "echo"}, off=True, runtime=[{"size": 1}, {"strength": 3}])
    run = server().submit(part, scenario="made_up", model="m", tree=None, runtime=make_runtime()).result(30)
    assert run.result is not None
    sent = json.loads(run.result.passes[0].calls[0].outputs[0].text)
    assert sent["part"]["runtime"] == [{"size": 1, "strength": 0}, {"strength": 0}], "what is off goes on top"
    assert sent["counters"]["seen_rows"] == "decode_rows" and sent["counters"]["score"] == "any"
    assert (sent["probe"], sent["start"], sent["defaults"]) == ("/probe", "made_up:install", {"strength": 0.8})
    assert run.installs == [{"size": 1, "strength": 0}, {"strength": 0}]
    assert run.steps[0].observed == {"rows": 2} and run.steps[0].poisoned


def test_a_runtime_that_does_not_say_how_it_is_off_is_red_in_one_line(server: Start) -> None:
    scenario = make_scenario("alive", off=True)
    future = server().submit(
        scenario.parts[0], scenario="made_up", model="m", tree=None, runtime=make_runtime(off=None)
    )
    assert judge(scenario, [future.result(30)]).reason == (
        "p: made_up does not say how it is off: declare `off`, its settings, in patches/made_up/runtime.yaml"
    )
