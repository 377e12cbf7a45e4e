"""Pass@k on real vLLM 0.20.0, through the command line, in a project folder of the test's own."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from patchkit.series.pin import tree_hash, upstream_blobs

from .conftest import CHECKOUT, RELEASE, Patchkit

PROBLEMS, N = 12, 6


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with our patches and scenarios, with journals of its own."""
    root = tmp_path_factory.mktemp("project")
    for name in ("patches", "scenarios"):
        (root / name).symlink_to(CHECKOUT / name)
    lines = [
        {"id": f"p{number}", "prompt": " ".join("abcdefghijklm"[: number + 1]), "reference": str(number)}
        for number in range(PROBLEMS)
    ]
    (root / "task.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root


def bench_command(project: Path, seed: int, *more: str) -> list[str]:
    task = ["--task", str(project / "task.jsonl"), "--grader", "integer", "--max-tokens", "160", "--n", str(N)]
    where = ["--evidence", str(project / f"evidence-{seed}.json"), "--seed", str(seed)]
    return ["bench", "accuracy", "--vllm", RELEASE, "--model", "tiny", *task, *where, *more]


def samples(project: Path, seed: int) -> dict[tuple[str, int, str, int], tuple[Any, ...]]:
    """What every sample says, by mode, trial, problem and number."""
    lines = gzip.decompress((project / f"evidence-{seed}.samples.jsonl.gz").read_bytes()).decode().splitlines()
    records = [json.loads(line) for line in lines]
    found = {
        (one["mode"], one["trial"], one["problem"], one["sample"]): (one["seed"], one["text"], one["correct"])
        for one in records
    }
    assert len(found) == len(lines), "a sample is there twice"
    return found


def wait_for_samples(project: Path, mode: str, process: subprocess.Popen[str]) -> None:
    """Until some samples of a mode are on disk, and not yet all of them."""
    until = time.monotonic() + 200
    while time.monotonic() < until and process.poll() is None:
        for path in (project / ".patchkit" / "accuracy").glob(f"*-{mode}-*/draw.sqlite"):
            with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
                if database.execute("SELECT COUNT(*) FROM samples").fetchone()[0] >= 3:
                    return
        time.sleep(0.02)
    raise AssertionError(f"no sample of {mode} was seen")


def killed_in(project: Path, mode: str, command: list[str], signum: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "patchkit", *command],
        cwd=project,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for_samples(project, mode, process)
    finally:
        os.killpg(process.pid, signum)
        process.wait(60)


def test_killed_and_resumed_is_unbroken_and_shards_do_not_matter(patchkit: Patchkit, project: Path) -> None:
    command = bench_command(project, 1, "--unproven")
    done = patchkit(*command, cwd=project)
    assert done.returncode == 0, done.stderr
    unbroken = samples(project, 1)
    assert len(unbroken) == 2 * PROBLEMS * N

    shutil.rmtree(project / ".patchkit" / "accuracy")
    killed_in(project, "baseline", command, signal.SIGKILL)
    killed_in(project, "esamp", command, signal.SIGINT)
    done = patchkit(*command, "--shards", "2", cwd=project)
    assert done.returncode == 0, done.stderr
    assert samples(project, 1) == unbroken

    evidence = json.loads((project / "evidence-1.json").read_text())
    (cell,) = evidence["cells"]
    assert [trial["sessions"] for trial in cell["modes"]["baseline"]] == [2]
    assert cell["throughput"] == {}, "a broken run says nothing of speed"
    assert evidence["unproven"] and evidence["unproven"] in done.stdout
    assert cell["judgements"][0]["outcome"] == "not resolved"

    again = patchkit(*command, cwd=project)
    assert again.returncode == 0 and samples(project, 1) == unbroken
    assert "trial 1" not in again.stderr, "nothing was left to draw"


PROBE = """
from collections import Counter

class SampleProbe:
    def __init__(self, runtime, settings, engine):
        self.settings, self.device, self.rows, self.steps, self.odd = settings, str(engine.device), Counter(), 0, 0

    def sampled(self, sampling, step):
        assert len(step.rows) == step.shape.requests
        self.steps += step.shape.decode_rows > 0
        self.odd += sum(row.sample is None for row in step.rows)
        self.rows.update(row.prompt for row in step.rows if row.decode)

    def figures(self):
        learnt = min(self.rows.values()) if self.settings["beta"] else -1.0
        return {"learnt": learnt, "prompts": len(self.rows), "rows": self.rows.total(), "steps": self.steps,
                "odd": self.odd, "device": self.device}
"""
FIGURES = """
figures:
  - {figure: learnt, above: 0.0, means: rows of the least prompt, otherwise: It had learnt nothing at all.}
"""


def test_settings_side_by_side_share_a_baseline_and_say_what_their_probe_saw(
    patchkit: Patchkit, project: Path, tmp_path: Path
) -> None:
    """The runtime with a probe of the test's own, on and off: off it is the baseline, and the verdict says so."""
    shutil.copytree(CHECKOUT / "patches", tmp_path / "patches")
    (tmp_path / "scenarios").symlink_to(CHECKOUT / "scenarios")
    shutil.copy(project / "task.jsonl", tmp_path)
    shutil.rmtree(tmp_path / "patches" / "esamp" / "gates", ignore_errors=True)
    (tmp_path / "patches" / "esamp" / "gates").mkdir()
    (tmp_path / "patches" / "esamp" / "gates" / "probe.py").write_text(PROBE)
    manifest = tmp_path / "patches" / "esamp" / "runtime.yaml"
    kept = re.sub(r"^figures:.*\n(?:  .*\n)*", "", manifest.read_text(), flags=re.M)
    manifest.write_text(kept.rstrip() + FIGURES)
    modes = ["--setting", "off:beta=0.0", "--setting", "on:beta=0.8", "--shards", "2"]
    done = patchkit(*bench_command(tmp_path, 4, "--unproven", *modes), cwd=tmp_path)
    assert done.returncode == 0, done.stderr

    found = samples(tmp_path, 4)
    assert len(found) == 3 * PROBLEMS * N
    drawn = {
        mode: {key[1:]: seen for key, seen in found.items() if key[0] == mode} for mode in ("baseline", "off", "on")
    }
    assert drawn["off"] == drawn["baseline"] != drawn["on"]

    (cell,) = json.loads((tmp_path / "evidence-4.json").read_text())["cells"]
    assert cell["settings"] == {"off": {"beta": 0.0}, "on": {"beta": 0.8}}
    for mode in ("off", "on"):
        (trial,) = cell["modes"][mode]
        assert [seen["prompts"] for seen in trial["observed"]] == [PROBLEMS / 2] * 2
        assert sum(seen["rows"] for seen in trial["observed"]) == trial["counters"]["decode_rows"]
        assert [(seen["odd"], seen["device"]) for seen in trial["observed"]] == [(0, "cpu")] * 2
    assert cell["modes"]["baseline"][0]["observed"] == []
    off, on = cell["judgements"]
    assert off["because"][0].startswith("It had learnt nothing at all (learnt")
    assert not any("It had learnt nothing" in reason for reason in on["because"])
    assert "! off: It had learnt nothing at all." in done.stdout


def test_a_probe_that_breaks_is_named(patchkit: Patchkit, project: Path, tmp_path: Path) -> None:
    shutil.copytree(CHECKOUT / "patches", tmp_path / "patches")
    (tmp_path / "scenarios").symlink_to(CHECKOUT / "scenarios")
    shutil.copy(project / "task.jsonl", tmp_path)
    gates = tmp_path / "patches" / "esamp" / "gates"
    gates.mkdir(exist_ok=True)
    (gates / "probe.py").write_text(PROBE.replace("self.steps += ", "self.steps += 1 / 0 * "))
    done = patchkit(*bench_command(tmp_path, 5, "--unproven"), cwd=tmp_path)
    assert done.returncode == 1
    assert "the probe broke in sampled: ZeroDivisionError" in done.stderr
    assert "probe.py:" in done.stderr and "Traceback" not in done.stderr


def test_no_draw_before_the_gates(patchkit: Patchkit, project: Path) -> None:
    done = patchkit(*bench_command(project, 2), cwd=project)
    assert done.returncode == 2
    assert done.stderr.startswith(f"patchkit: no benchmark yet: no gate was run for vLLM {RELEASE} on cpu")
    assert "--unproven" in done.stderr and done.stderr.count("\n") == 1


DEAD = """
class Dead:
    def counters(self):
        return {"acted": 0}

    def view(self):
        return None

    def uninstall(self):
        pass


def install(**settings):
    return Dead()
"""


def test_a_runtime_that_is_not_at_work_is_loud(patchkit: Patchkit, project: Path, tmp_path: Path) -> None:
    """It installs and does nothing; the text looks plausible."""
    upstream = tmp_path / "patches" / "dead" / "upstream"
    (upstream / "dead").mkdir(parents=True)
    (upstream / "dead" / "__init__.py").write_text(DEAD)
    declared = {
        "name": "dead",
        "package": "dead",
        "upstream": {"path": "upstream", "tree": tree_hash(upstream_blobs(upstream))},
        "developed_on": RELEASE,
        "start": "dead:install",
        "counters": {"acted": {"must_be": "decode_rows", "means": "rows acted on"}},
    }
    (tmp_path / "patches" / "dead" / "runtime.yaml").write_text(json.dumps(declared))
    (tmp_path / "patches" / "dead" / "series").write_text("")
    (tmp_path / "scenarios").symlink_to(CHECKOUT / "scenarios")
    shutil.copy(project / "task.jsonl", tmp_path)
    done = patchkit(*bench_command(tmp_path, 3, "--runtime", "dead", "--unproven"), cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "the runtime was not at work: acted is 0 of" in done.stderr
    assert not (tmp_path / "evidence-3.json").exists()
    assert "Traceback" not in done.stderr
