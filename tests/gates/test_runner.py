"""The runner, from a scenario to a verdict."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from made_up import MadeUp

from patchkit.gates.runner import Runner


def runner(workers: int = 2) -> tuple[Runner, list[str]]:
    """A runner whose workspace records that it was closed."""
    said: list[str] = []
    workspace: Any = SimpleNamespace(workers=workers, close=lambda: said.append("closed"))
    return Runner(workspace), said


def test_items_run_side_by_side_and_come_as_they_are_known() -> None:
    def call(seconds: float) -> float:
        time.sleep(seconds)
        return seconds * 2

    one, said = runner()
    assert list(one.side_by_side(call, [0.4, 0.0, 0.1])) == [(0.0, 0.0), (0.1, 0.2), (0.4, 0.8)]
    assert not said


def test_the_first_exception_ends_everything() -> None:
    called: list[int] = []

    def call(item: int) -> None:
        called.append(item)
        time.sleep(0.05)
        if item == 1:
            raise ValueError(item)

    one, said = runner(1)
    with pytest.raises(ValueError, match="1"):
        list(one.side_by_side(call, range(50)))
    assert said == ["closed"] and len(called) < 10


def test_a_consumer_that_stops_ends_everything() -> None:
    one, said = runner(1)
    found = one.side_by_side(lambda item: time.sleep(0.02), range(50))
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert said == ["closed"]


def test_pytest_and_gate_say_the_same(pytester: pytest.Pytester, made_up: MadeUp, patchkit: Any) -> None:
    made_up.scenario("first", "{act: error}")
    made_up.scenario("second")
    assert patchkit("gate", "--vllm", "0.20.0")[0] == 1
    red, green = json.loads((made_up.root / ".patchkit/evidence/gate-0.20.0-cpu.json").read_text())["verdicts"]
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", f"--rootdir={made_up.root}", str(made_up.root))
    result.assert_outcomes(passed=1, failed=1)
    assert green["passed"] and f"{red['reason']} (resembles {red['resembles']})" in result.outlines
