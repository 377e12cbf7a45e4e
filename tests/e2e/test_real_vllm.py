"""What a user sees: pytest items on real vLLM 0.20.0 with real weights, and what is said of a mistyped name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import CHECKOUT, RELEASE, TAKEN, Patchkit


def run_pytest(*arguments: str, cwd: Path = CHECKOUT) -> subprocess.CompletedProcess[str]:
    option = "--vllm" if cwd == CHECKOUT else "--patchkit-vllm"  # the short one is for projects of patchkit alone
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", option, RELEASE, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def test_a_gate_is_a_pytest_item_and_a_red_one_says_why() -> None:
    done = run_pytest("-q", "-k", "multi_generate", "--without", "6", "scenarios")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "IndexError" in done.stdout and "0 decode rows after 8" in done.stdout
    assert "resembles drift 6" in done.stdout
    assert "Traceback" not in done.stdout


def test_xdist_spreads_the_gates() -> None:
    done = run_pytest("-q", "-n", "2", "-k", "guards or multi_generate", "scenarios")
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
    verdict = run_scenario("lifecycle")
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
