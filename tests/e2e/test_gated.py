"""One whole run of the gates on the whole series, on real vLLM 0.20.0 with real weights: what it says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import GATES, RELEASE, TAKEN, Patchkit


@pytest.fixture(scope="module")
def gated(patchkit: Patchkit, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The evidence of the run."""
    path = tmp_path_factory.mktemp("gate") / "evidence.json"
    done = patchkit("gate", "--vllm", RELEASE, "--json", "--evidence", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout) == json.loads(path.read_text())
    return json.loads(done.stdout)


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


def test_every_drift_is_refused_in_one_line(gated: dict[str, Any]) -> None:
    """The runtime itself notices that vLLM differs from what it supports, and says so in one readable line."""
    (verdict,) = [one for one in gated["verdicts"] if one["scenario"] == "guards"]
    assert verdict["passed"], verdict["reason"]
    said = {part["name"]: str(part["figures"]["said"]) for part in verdict["parts"] if "said" in part["figures"]}
    at_start = ["reordered", "runner_subclass", "other_runner", "other_sampler", "renamed", "norm"]
    in_mid_run = ["runner_subclass_later", "other_runner_later", "other_sampler_later", "renamed_later"]
    assert {*at_start, *in_mid_run} <= set(said)
    for line in said.values():
        assert line.startswith(f"esamp on vLLM {RELEASE}: ") and "\n" not in line
        assert line.endswith(f"; `patchkit drift --vllm {RELEASE}` tells what moved")
        assert len(line) < 300, "a gate's reason would cut it off"
