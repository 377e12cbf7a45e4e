"""What a user sees: gates, knock-outs and pytest items on real vLLM 0.20.0 with real weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from patchkit.gates.loading import load_scenarios
from patchkit.gates.scenario import select
from patchkit.project import find_project
from patchkit.series import Series

from .conftest import CHECKOUT, RELEASE, Patchkit

PROJECT = find_project(CHECKOUT)
TAKEN = [one.patch.name for one in Series.load(PROJECT.patches / "esamp").for_release(RELEASE) if one.taken]
GATES = [gate.name for gate in select(load_scenarios(PROJECT, "esamp"), release=RELEASE)]


def run_pytest(*arguments: str, cwd: Path = CHECKOUT) -> subprocess.CompletedProcess[str]:
    option = "--vllm" if cwd == CHECKOUT else "--patchkit-vllm"  # the short one is for projects of patchkit alone
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", option, RELEASE, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def test_every_gate_is_green_in_its_order(gated: dict[str, Any]) -> None:
    assert [verdict["scenario"] for verdict in gated["verdicts"]] == GATES
    assert all(verdict["passed"] for verdict in gated["verdicts"])
    assert gated["versions"]["vllm"].startswith(RELEASE)
    assert gated["runtime"]["patches"] == TAKEN


def test_the_gates_exercised_what_they_claim(gated: dict[str, Any]) -> None:
    figures = {verdict["scenario"]: verdict["figures"] for verdict in gated["verdicts"]}
    assert figures["decode_shrink"]["pass@8"] > figures["decode_shrink"]["pass@1"] > 0
    assert figures["decode_shrink"]["drain.reference_rows"] > 5000
    assert figures["neutrality"]["compared_tokens"] > 100
    for part in ("one_prompt", "settled"):
        assert figures["learning"][f"{part}.ratio_last"] < figures["learning"][f"{part}.ratio_first"]


def test_knockout_catches_every_patch_for_the_stated_reason(patchkit: Patchkit, tmp_path: Path) -> None:
    path = tmp_path / "knockout.json"
    done = patchkit("knockout", "--vllm", RELEASE, "--evidence", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(TAKEN)} of {len(TAKEN)} patches caught" in done.stdout
    rows = {row["patch"][:4]: row for row in json.loads(path.read_text())["knockouts"]}
    assert len(rows) == len(TAKEN) > 0
    assert all(row["caught"] for row in rows.values())
    assert {row["need"] for row in rows.values()} == {"needed"}
    # A stale row index: what every benchmark runs is green, and only draining requests show it.
    assert rows["0007"]["verdicts"]["monotonic_bench"]["passed"]
    assert not rows["0007"]["verdicts"]["decode_shrink"]["passed"]
    assert rows["0004"]["by"] == "monotonic_bench" and "where logits indices are looked for" in rows["0004"]["reason"]
    assert rows["0005"]["by"] == "identity" and "did not register request" in rows["0005"]["reason"]
    # Only the gate of the guards misses them: nothing drifts under the others.
    assert [gate for gate, found in rows["0008"]["verdicts"].items() if not found["passed"]] == ["guards"]


def test_a_gate_is_a_pytest_item_and_a_red_one_says_why() -> None:
    done = run_pytest("-q", "-k", "multi_generate", "--without", "6", "scenarios")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "IndexError" in done.stdout and "0 decode rows after 8" in done.stdout
    assert "resembles drift 6" in done.stdout
    assert "Traceback" not in done.stdout


def test_xdist_spreads_the_gates() -> None:
    done = run_pytest("-q", "-n", "2", "-k", "identity or multi_generate", "scenarios")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


USERS_TEST = (
    f"TAKEN = {TAKEN}"
    + """
CROWD = {
    "name": "crowd",
    "title": "A scenario of a user's own, with the runtime's own invariants",
    "guards": "What a user writes is judged like any other.",
    "parts": [{
        "name": "crowd",
        "runtime": {"beta": 0.5},
        "calls": [{"groups": [{"prompts": {"kind": "random", "count": 3, "tokens": 6}, "max_tokens": 4}]}],
        "invariants": ["alive", "rows", {"exercised": {"shrinks": 9}}],
    }],
}

def test_mine(run_scenario, patched_runtime):
    assert [patch.name for patch in patched_runtime.tree.taken] == TAKEN
    verdict = run_scenario("identity")
    assert verdict.passed, verdict.reason

def test_a_scenario_of_ones_own(run_scenario):
    verdict = run_scenario(CROWD)
    assert not verdict.passed
    assert verdict.reasons == ["crowd: not exercised: shrinks 0, this scenario needs at least 9"]
    assert verdict.figures["reference_rows"] == 9
"""
)


def test_the_fixtures_serve_a_users_own_test(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(USERS_TEST)
    done = run_pytest("-q", "test_mine.py", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_an_unknown_scenario_is_one_line(patchkit: Patchkit) -> None:
    done = patchkit("gate", "--vllm", RELEASE, "--only", "decode_shrnk")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "decode_shrink" in done.stderr


@pytest.mark.parametrize("verb", ["gate", "knockout"])
def test_an_unknown_release_is_one_line(patchkit: Patchkit, verb: str) -> None:
    done = patchkit(verb, "--vllm", "0.99.0")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr and "0.99.0" in done.stderr.splitlines()[-1]
