"""The runtime notices by itself that vLLM is not what it was fitted to, and says so as people read it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from patchkit.environments import ensure
from patchkit.gates.loading import load_scenarios
from patchkit.gates.rig import Rig, Settings
from patchkit.project import find_project

from .conftest import CHECKOUT, RELEASE

VALUES = CHECKOUT / "tests" / "runtime" / "shapes_against_values.py"


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Rig(Settings(find_project(CHECKOUT), "esamp", RELEASE)) as rig:
        yield rig


def test_every_drift_is_refused_in_one_line(rig: Rig) -> None:
    verdict = rig.run(load_scenarios(rig.settings.project, rig.settings.runtime)["guards"])
    assert verdict.passed, verdict.reasons
    said = {part.name: str(part.figures["said"]) for part in verdict.parts if "said" in part.figures}
    at_start = ["reordered", "runner_subclass", "other_runner", "other_sampler", "renamed", "norm"]
    in_mid_run = ["runner_subclass_later", "other_runner_later", "other_sampler_later", "renamed_later"]
    assert {*at_start, *in_mid_run} <= set(said)
    for line in said.values():
        assert line.startswith(f"esamp on vLLM {RELEASE}: ") and "\n" not in line
        assert line.endswith(f"; `patchkit drift --vllm {RELEASE}` tells what moved")
        assert len(line) < 300, "a gate's reason would cut it off"


@pytest.mark.parametrize(
    ("gate", "left_out", "said"),
    [
        ("monotonic_bench", "4", "port hits 0, captured rows 0"),
        ("identity", "5", "decode rows belong to no request"),
    ],
)
def test_without_the_guards_the_gates_see_the_silent_drifts_themselves(
    rig: Rig, gate: str, left_out: str, said: str
) -> None:
    patches = {str(patch.number): patch.name for patch in rig.tree.taken}
    tree = rig.tree_without([patches[left_out], patches["8"]])
    verdict = rig.run_until_red(load_scenarios(rig.settings.project, rig.settings.runtime)[gate], tree)
    assert not verdict.passed
    assert said in " ".join(verdict.reasons)
    assert verdict.resembles and verdict.resembles.startswith(f"drift {left_out} ")


def test_what_a_value_must_look_like(rig: Rig) -> None:
    python, shapes = ensure(RELEASE, "cpu").python, Path(rig.tree.path) / "esamp" / "shapes.py"
    done = subprocess.run([python, VALUES, shapes], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
