"""What may stand in a matrix, and what is said of what may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from patchkit.bench.accuracy_verbs import pairs
from patchkit.bench.plan import Plan, make_plan, read_plan
from patchkit.errors import PatchkitError

LEAST: dict[str, Any] = {"vllm": "0.20.0", "models": ["m"], "tasks": ["humaneval"]}


def made(**fields: Any) -> Plan:
    return make_plan({**LEAST, **fields}, "matrix.yaml")


def test_the_least_is_enough() -> None:
    plan = made()
    assert plan.all_modes == ["baseline", "esamp"]
    assert [task.task for task in plan.all_tasks] == ["humaneval"]
    assert (plan.n, plan.trials, plan.sampling["min_p"], plan.settings["rank"]) == (16, 1, 0.1, 64)


def test_the_baseline_comes_first() -> None:
    assert made(modes=["esamp", "baseline"]).all_modes == ["baseline", "esamp"]
    assert made(modes=["baseline"]).all_modes == ["baseline"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"n": 0}, "n must be at least 1"),
        ({"trials": 0}, "trials must be at least 1"),
        ({"models": []}, "models is empty"),
        ({"models": ["m", "m"]}, "'m' is there twice"),
        ({"modes": ["baseline", "esmap"]}, "there is no 'esmap', only baseline and esamp"),
        ({"modes": ["esamp"]}, "without baseline there is nothing to compare with"),
        ({"tasks": [{"task": "humaneval", "first": 0}]}, r"tasks\[0\]: first must be at least 1"),
        ({"tasks": [{"name": "humaneval"}]}, r"tasks\[0\]: .* unknown field `name`"),
        ({"sampling": {"n": 3}}, "n has a field of its own"),
        ({"temprature": 1}, "temprature"),
        ({"vllm": 0.20}, r"quote releases"),
        ({"device": "tpu"}, "device: Invalid enum value 'tpu'"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(PatchkitError, match=said) as error:
        made(**fields)
    assert str(error.value).startswith("matrix.yaml: ") and "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"a: [", b"\xff", b"vllm: 0.20.0"])
def test_a_file_that_is_no_matrix_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "matrix.yaml"
    path.write_bytes(content)
    with pytest.raises(PatchkitError, match=r"matrix\.yaml: "):
        read_plan(path)
    with pytest.raises(PatchkitError, match="cannot read"):
        read_plan(tmp_path / "none.yaml")


def test_options_are_read_as_yaml_reads_them() -> None:
    assert pairs(["dtype=bfloat16", "enforce_eager=false", "beta=0.4", "x=a=b"], "--engine") == {
        "dtype": "bfloat16",
        "enforce_eager": False,
        "beta": 0.4,
        "x": "a=b",
    }
    with pytest.raises(PatchkitError, match="--engine dtype: not of the form key=value"):
        pairs(["dtype"], "--engine")
