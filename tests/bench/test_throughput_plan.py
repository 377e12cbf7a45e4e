"""What engines a throughput benchmark makes."""

from __future__ import annotations

from typing import Any

import pytest

from patchkit.bench.throughput_plan import Load, ThroughputPlan


def planned(**given: Any) -> ThroughputPlan:
    return ThroughputPlan(
        **{"model": "m", "random_weights": False, "loads": [Load(32, 16)], "modes": ["graphs"], "settings": [], **given}
    )


def test_graphs_have_the_sizes_that_vllm_takes_by_itself():
    """None is vLLM's default; without it the worker's few sizes for gates would leave large batches without a graph."""
    assert planned(device="cuda").engine_settings("graphs")["cudagraph_capture_sizes"] is None


@pytest.mark.parametrize(("device", "mode"), [("cuda", "eager"), ("cpu", "eager"), ("cpu", "graphs")])
def test_no_sizes_are_given_where_nothing_is_captured(device, mode):
    assert "cudagraph_capture_sizes" not in planned(device=device).engine_settings(mode)


def test_sizes_that_the_user_gives_are_taken():
    plan = planned(device="cuda", engine={"cudagraph_capture_sizes": [8]})
    assert plan.engine_settings("graphs")["cudagraph_capture_sizes"] == [8]
