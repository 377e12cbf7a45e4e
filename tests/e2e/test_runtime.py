"""The pinned runtime by itself: its method against torch. Its life in real vLLM is the gate lifecycle."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from patchkit.environments import ensure
from patchkit.environments.environment import Environment
from patchkit.project import find_project
from patchkit.series import patched_tree

from .conftest import CHECKOUT, RELEASE

SCRIPTS = CHECKOUT / "tests" / "esamp"
WITH_TRITON = "0.28.0"  # whose environment for the second runner has Triton, and its interpreter


def run_inside(
    script: str, *arguments: str | Path, environment: Environment | None = None
) -> subprocess.CompletedProcess[str]:
    environment = environment or ensure(RELEASE, "cpu")
    command = [str(environment.python), str(SCRIPTS / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment.variables})


@pytest.fixture(scope="module")
def tree() -> Path:
    return patched_tree(find_project(CHECKOUT), "esamp", RELEASE).path


@pytest.mark.parametrize("release", [RELEASE, WITH_TRITON])  # before and after patch 15
def test_the_method_agrees_with_torch(release: str) -> None:
    folder = patched_tree(find_project(CHECKOUT), "esamp", release).path
    done = run_inside("method_alone.py", folder / "esamp")
    assert done.returncode == 0, done.stderr


def test_what_cuda_runs_agrees_with_the_plain_method() -> None:
    project = find_project(CHECKOUT)
    tree = patched_tree(project, "esamp", WITH_TRITON).path
    environment = ensure(WITH_TRITON, "cpu", runner="v2")
    done = run_inside("fused_alone.py", tree / "esamp", "cpu", environment=environment)
    assert done.returncode == 0, done.stderr


def test_what_a_value_must_look_like(tree: Path) -> None:
    done = run_inside("checks_against_values.py", tree / "esamp" / "engine" / "checks.py")
    assert done.returncode == 0, done.stderr
