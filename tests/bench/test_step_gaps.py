"""The trace of a step is taken apart into what its stream does and where it waits."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "step_gaps.py"
gaps: Any = runpy.run_path(str(BENCHMARK))["gaps"]


def steps(count: int) -> list[tuple[float, float, str]]:
    """Steps of 100 µs: 60 of the model, 10 idle, 20 of the draw, 10 idle; a copy runs beside the model."""
    each = ((0, 60, "model"), (5, 15, "copy"), (70, 90, "_gumbel_sample_kernel"))
    return [(100.0 * step + start, 100.0 * step + end, name) for step in range(count) for start, end, name in each]


def test_idle_time_belongs_to_the_kernel_that_was_waited_for() -> None:
    found = gaps(steps(40))
    assert (found["span"], found["busy"], found["idle"]) == (100.0, 80.0, 20.0)
    assert found["idle_before"] == {"model": 10.0, "_gumbel_sample_kernel": 10.0, "copy": 0.0}


def test_a_trace_that_is_too_short_is_refused() -> None:
    with pytest.raises(SystemExit, match="raise --tokens"):
        gaps(steps(13))
