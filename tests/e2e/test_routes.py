"""The routes of CONTRIBUTING.md that need real vLLM or the package index, as they are typed there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from fresh_checkout import blocks, fresh_checkout, section, without_set_up

from .conftest import RELEASE, Patchkit


def typed(script: str, cwd: Path) -> str:
    """What a script prints that a person types, line by line; each line must succeed."""
    done = subprocess.run(["bash", "-eu", "-c", script], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return without_set_up(fresh_checkout(tmp_path / "patchkit"))


def test_the_route_of_a_runtime_ends_with_green_gates(checkout: Path) -> None:
    route = blocks(section("CONTRIBUTING.md", "A runtime"))[0]
    assert f"./go gate --vllm {RELEASE} --runtime my-runtime" in route
    said = typed(route, checkout)
    gates = sum(line.startswith("\u2713 ") and "symbols declared" not in line for line in said.splitlines())
    assert f"{gates} of {gates} gates pass" in said


def test_the_gate_of_a_new_runtime_misses_its_patch(patchkit: Patchkit, tmp_path: Path) -> None:
    (tmp_path / "patches").mkdir()
    assert patchkit("init", "mine", "--vllm", RELEASE, cwd=tmp_path).returncode == 0
    done = patchkit("knockout", "--vllm", RELEASE, "--only", "one_token_prompts", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 patch caught" in done.stdout


def test_the_route_of_a_scenario(checkout: Path) -> None:
    route = section("CONTRIBUTING.md", "A scenario")
    (example,) = blocks(route, "yaml")
    assert f"`./go gate --vllm {RELEASE} --only NAME` runs it alone" in route
    shown = example.replace("name: decode_shrink", "name: shown", 1)
    (checkout / "scenarios" / "shown.yaml").write_text(shown)
    said = typed(f"./go gate --vllm {RELEASE} --only shown", checkout)
    assert "1 of 1 gate passes" in said


def test_the_route_of_a_release_begins_with_drift_and_a_lock(checkout: Path) -> None:
    (route,) = blocks(section("CONTRIBUTING.md", "A vLLM release"))
    lock = next(line for line in route.splitlines() if line.startswith("./go lock "))
    release = lock.split()[2]
    file = checkout / "patchkit" / "environments" / "locks" / f"{release}-cpu.txt"
    file.unlink()
    assert f"wrote {file}" in typed(lock, checkout)
    assert f"made by `patchkit lock {release}`" in file.read_text()
    drift = next(line for line in route.splitlines() if line.startswith("./go drift "))
    done = subprocess.run(["bash", "-c", drift], cwd=checkout, capture_output=True, text=True)
    assert done.returncode in (0, 1) and release in done.stdout, done.stderr
