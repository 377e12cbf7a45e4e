"""What a row of the parts of a step changes, it takes back; its ratio is of the engine without ESamp."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

BENCHMARK: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "step_parts.py"))


class Engine:
    def work(self) -> str:
        return "done"


class Inherits(Engine):
    """As GraphBank does of Bank."""


def test_a_part_is_left_out_for_the_length_of_its_row() -> None:
    row = BENCHMARK["changed"]([(Engine, "work", lambda engine: None)])
    with row(lambda: None):
        assert Engine().work() is None and Inherits().work() is None
    assert Engine().work() == "done"


def test_a_part_that_its_class_does_not_have_is_refused_before_anything_changes() -> None:
    row = BENCHMARK["changed"]([(Engine, "work", lambda engine: None), (Inherits, "work", lambda engine: None)])
    with pytest.raises(KeyError), row(lambda: None):
        pass
    assert Engine().work() == "done"


def test_each_row_is_measured_once_a_round() -> None:
    generated: list[tuple[int, int]] = []
    side = SimpleNamespace(generate=lambda *load: generated.append(load), tokens=4)
    clocks = SimpleNamespace(since=lambda began: [])
    found: dict[str, list[dict[str, Any]]] = {}
    rows = {"esamp": BENCHMARK["unchanged"], "uninstalled": BENCHMARK["unchanged"]}
    BENCHMARK["take_turns"](side, (1, 16), rows, 3, clocks, found)
    assert {name: len(measured) for name, measured in found.items()} == {"esamp": 3, "uninstalled": 3}
    assert generated == [(1, 16)] * 6


def test_a_row_is_held_against_the_engine_without_esamp() -> None:
    measured = [{"took": took, "clocks": clocks} for took, clocks in ((6.0, [1980.0, 3201.0]), (5.0, []), (7.0, []))]
    assert BENCHMARK["summed_up"](measured, 5.7) == {
        "step": 6.0,
        "low": 5.0,
        "high": 7.0,
        "ratio": 0.95,
        "clocks": [1980.0, 3201.0],
    }
