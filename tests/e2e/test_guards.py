"""The runtime itself notices that vLLM differs from what it supports, and says so in one readable line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from patchkit.gates.loading import load_scenarios
from patchkit.gates.runner import Runner
from patchkit.gates.settings import Settings
from patchkit.gates.workspace import Workspace
from patchkit.project import find_project

from .conftest import CHECKOUT, RELEASE


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    with Workspace(Settings(find_project(CHECKOUT), "esamp", RELEASE)) as workspace:
        yield workspace


def test_every_drift_is_refused_in_one_line(workspace: Workspace) -> None:
    verdict = Runner(workspace).run(load_scenarios(workspace.settings.project, workspace.settings.runtime)["guards"])
    assert verdict.passed, verdict.reasons
    said = {part.name: str(part.figures["said"]) for part in verdict.parts if "said" in part.figures}
    at_start = ["reordered", "runner_subclass", "other_runner", "other_sampler", "renamed", "norm"]
    in_mid_run = ["runner_subclass_later", "other_runner_later", "other_sampler_later", "renamed_later"]
    assert {*at_start, *in_mid_run} <= set(said)
    for line in said.values():
        assert line.startswith(f"esamp on vLLM {RELEASE}: ") and "\n" not in line
        assert line.endswith(f"; `patchkit drift --vllm {RELEASE}` tells what moved")
        assert len(line) < 300, "a gate's reason would cut it off"
