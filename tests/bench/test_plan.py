"""What may stand in a matrix, and what is said of what may not."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from patchkit.bench.accuracy import load_tasks
from patchkit.bench.plan import Plan, make_plan, read_plan
from patchkit.documents import key_values
from patchkit.errors import PatchkitError
from patchkit.verbs.accuracy_run import by_mode, chosen

CHECKOUT = Path(__file__).resolve().parents[2]
LEAST: dict[str, Any] = {"vllm": "0.20.0", "models": ["m"], "tasks": ["humaneval"]}


ENDLESS: dict[str, Any] = {}
ENDLESS["again"] = ENDLESS


def made(**fields: Any) -> Plan:
    return make_plan({**LEAST, **fields}, "matrix.yaml")


def test_the_least_is_enough() -> None:
    plan = made()
    assert plan.all_modes == ["baseline", "esamp"]
    assert [task.task for task in plan.all_tasks] == ["humaneval"]
    assert (plan.n, plan.trials, plan.sampling["min_p"], plan.settings) == (16, 1, 0.1, {})


def test_modes_that_are_named_share_a_baseline() -> None:
    plan = made(settings={"seed": 3, "width": 8}, modes={"paper": {"preset": "paper"}, "release": {"width": 4}})
    assert plan.all_modes == ["baseline", "paper", "release"]
    assert plan.settings_of("paper") == {"seed": 3, "width": 8, "preset": "paper"}
    assert plan.settings_of("release") == {"seed": 3, "width": 4}
    assert plan.settings_of("baseline") == {}
    assert made(settings={"seed": 3}).settings_of("esamp") == {"seed": 3}
    assert made(modes={}).all_modes == ["baseline", "esamp"]
    assert made(modes={"a": {"rate": "1e-3"}}).settings_of("a") == {"rate": 0.001}


def test_the_baseline_comes_first() -> None:
    assert made(modes=["esamp", "baseline"]).all_modes == ["baseline", "esamp"]
    assert made(modes=["baseline"]).all_modes == ["baseline"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"n": 0}, "n must be at least 1"),
        ({"trials": 0}, "trials must be at least 1"),
        ({"models": []}, "models is empty"),
        ({"models": ["m", "m"]}, "'m' is listed twice"),
        ({"modes": ["baseline", "esmap"]}, "there is no 'esmap', only baseline and esamp"),
        ({"modes": ["esamp"]}, "without baseline there is nothing to compare with"),
        ({"modes": {"baseline": {}, "a": {}}}, "modes: baseline has no settings and is always drawn"),
        ({"modes": {"a,b": {}}}, "modes: 'a,b' is no name"),
        ({"modes": {"": {}}}, "modes: '' is no name"),
        ({"modes": {"a": 3}}, r"modes.*: Expected `object`"),
        ({"modes": {"a": {"x": float("nan")}}}, r"modes\.a\.x: nan is no finite number"),
        ({"tasks": [{"task": "humaneval", "first": 0}]}, r"tasks\[0\]: first must be at least 1"),
        ({"tasks": [{"name": "humaneval"}]}, r"tasks\[0\]: .* unknown field `name`"),
        ({"sampling": {"n": 3}}, "n has a field of its own"),
        ({"temprature": 1}, "temprature"),
        ({"vllm": 0.20}, r"quote releases"),
        ({"device": "tpu"}, "device: Invalid enum value 'tpu'"),
        ({"runtime": "baseline"}, "runtime: baseline is what a runtime is compared with"),
        ({"sampling": {"top_p": float("nan")}}, r"sampling\.top_p: nan is no finite number"),
        ({"sampling": {"top_p": "1e999"}}, r"sampling\.top_p: inf is no finite number"),
        ({"engine": {"a": {"b": [0, date(2026, 1, 2)]}}}, r"engine\.a\.b\[1\]: a date is no plain value"),
        ({"engine": {"a": {"b"}}}, r"engine\.a: a set is no plain value"),
        ({"engine": {"a": {1: 2}}}, r"engine\.a: the name 1 is no text"),
        ({"settings": {"rank": 2**64}}, r"settings\.rank: the number does not fit"),
        ({"settings": ENDLESS}, "nested without end"),
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


def test_what_is_given_is_laid_over_the_defaults() -> None:
    plan = made(sampling={"temperature": 1, "top_k": 5}, settings={"beta": 0.5})
    assert plan.sampling == {"temperature": 1, "top_p": 0.95, "min_p": 0.1, "top_k": 5}
    assert plan.settings == {"beta": 0.5}


def test_a_null_takes_a_default_away() -> None:
    plan = made(sampling={"min_p": None}, settings={"more": None}, engine={"quantization": None})
    assert plan.sampling == {"temperature": 0.8, "top_p": 0.95}
    assert plan.settings == {"more": None}
    assert plan.engine == {"quantization": None}


def test_a_file_says_the_same_as_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "matrix.yaml"
    path.write_text(
        '{vllm: "0.20.0", models: [m], tasks: [humaneval], settings: {lr: 1e-3, betas: [2E3, .5e1], x: e5}}'
    )
    assert read_plan(path).settings == {"lr": 0.001, "betas": [2000.0, 5.0], "x": "e5"}
    assert made(settings=key_values(["lr=1e-3"], "--setting")).settings["lr"] == 0.001


@pytest.mark.parametrize(
    "path", sorted((CHECKOUT / "benchmarks" / "accuracy").glob("*.yaml")), ids=lambda path: path.stem
)
def test_our_own_matrices_compare_what_the_paper_has_with_what_its_release_runs(path: Path) -> None:
    plan = read_plan(path)
    assert plan.all_modes == ["baseline", "paper", "release"]
    assert [plan.settings_of(mode) for mode in plan.all_modes] == [{}, {"preset": "paper"}, {"preset": "release"}]
    assert plan.trials > 1 and load_tasks(plan), "one trial does not tell the noise"


def test_options_are_read_as_yaml_reads_them() -> None:
    assert key_values(["dtype=bfloat16", "enforce_eager=false", "beta=0.4", "x=a=b"], "--engine") == {
        "dtype": "bfloat16",
        "enforce_eager": False,
        "beta": 0.4,
        "x": "a=b",
    }
    with pytest.raises(PatchkitError, match="--engine: 'dtype' is not KEY=VALUE"):
        key_values(["dtype"], "--engine")
    with pytest.raises(PatchkitError, match=r"--engine async=\{: '\{' is not a value in YAML"):
        key_values(["async={"], "--engine")


def test_settings_of_the_command_line_are_for_every_mode_or_for_one() -> None:
    given = ["paper:preset=paper", "release:preset=release", "release:source=output:-1", "seed=3", "note=a:b=c"]
    shared, named = by_mode(given)
    assert shared == {"seed": 3, "note": "a:b=c"}
    assert named == {"paper": {"preset": "paper"}, "release": {"preset": "release", "source": "output:-1"}}
    assert by_mode(["preset=release"]) == ({"preset": "release"}, {})
    for wrong in (":a=1", "m:=1"):
        with pytest.raises(PatchkitError, match=r"not of the form MODE:KEY=VALUE"):
            by_mode([wrong])


def test_the_command_line_chooses_among_modes_that_have_a_name() -> None:
    named: dict[str, dict[str, Any]] = {"a": {"x": 1}, "b": {"x": 2}}
    assert chosen([], named) == named
    assert chosen(["baseline", "b"], named) == {"b": {"x": 2}}
    assert chosen(["baseline"], named) == ["baseline"]
    assert chosen(["baseline", "esamp"], {}) == ["baseline", "esamp"]
    with pytest.raises(PatchkitError, match="--modes: there is no 'c', only baseline, a, b"):
        chosen(["c"], named)
