"""The runtime itself notices that vLLM differs from what it supports, and says so in one readable line."""

from __future__ import annotations

from typing import Any

from .conftest import RELEASE


def test_every_drift_is_refused_in_one_line(gated: dict[str, Any]) -> None:
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
