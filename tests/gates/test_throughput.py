"""``patchkit bench throughput`` through the command line, on engines that are made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_up import MadeUp

BENCH = ("bench", "throughput", "--vllm", "0.20.0", "--unproven")


@pytest.fixture
def bench(made_up: MadeUp, patchkit: Any, tmp_path: Path) -> Any:
    """Run it; returns exit code, stderr, evidence."""
    made_up.scenario("first")

    def run(*words: str) -> tuple[int, str, dict[str, Any]]:
        place = tmp_path / "e.json"
        code, out, err = patchkit(*BENCH, *words, "--evidence", str(place))
        return code, out + err, json.loads(place.read_text()) if place.exists() else {}

    return run


def test_the_ratio_is_of_pairs_in_turn_and_the_warm_up_does_not_count(bench: Any) -> None:
    code, said, found = bench("--loads", "1x16,8x2", "--tokens", "10")
    assert code == 0, said
    first, second = found["rows"]
    assert (first["prompts"], first["samples"], second["prompts"], second["samples"]) == (1, 16, 8, 2)
    assert first["ratio"] == pytest.approx({"median": 0.8, "low": 0.8, "high": 0.8, "confidence": 0.96875, "pairs": 6})
    assert [run["seconds"] for run in first["plain"]["eager"]] == pytest.approx(
        [2 * (1 + n / 100) for n in range(1, 7)]
    )
    assert [run["tokens"] for run in first["patched"]] == [160] * 6
    assert first["cpu_ratio"]["median"] == 0.5
    assert "by CPU time 0.500 [0.500, 0.500]" in said
    assert first["patched"][0]["counters"]["hits"] == 9
    assert (first["plain_peak"], first["patched_peak"]) == (2000, 3000)
    assert "0.800 [0.800, 0.800]" in said
    assert found["unproven"].startswith("no benchmark yet: no gate was run")


def test_the_headline_is_against_the_fastest_plain_vllm(bench: Any) -> None:
    code, said, found = bench("--modes", "eager,graphs", "--pairs", "2")
    eager, graphs = found["rows"]
    assert code == 0, said
    assert (eager["fastest"], graphs["fastest"]) == ("graphs", "graphs")
    assert [row[kind]["median"] for row in (eager, graphs) for kind in ("ratio", "same_mode")] == pytest.approx(
        [0.4, 0.8, 0.8, 0.8]
    )
    assert found["engines"]["plain graphs"] == {"enforce_eager": False}


@pytest.mark.parametrize(
    ("act", "why"),
    [
        ("dead", "the runtime was not at work in pair 1: hits is 0 of 31 steps with decode rows"),
        ("nan", "the runtime was not at work in pair 1: score is nan"),
        ("short", "the runtime: 2,047 of 2,048 tokens in pair 1"),
    ],
)
def test_a_runtime_that_is_not_alive_has_no_ratio(bench: Any, act: str, why: str) -> None:
    code, said, found = bench("--engine", f"act={act}")
    (row,) = found["rows"]
    assert code == 1
    assert (row["standing"], row["why"], row["ratio"], row["same_mode"]) == ("dead", why, None, None)
    assert f"dead: {why}" in said


def test_a_runtime_that_refuses_is_a_row_and_does_not_stop_the_others(bench: Any) -> None:
    code, said, found = bench("--engine", "act=refuse", "--loads", "1x1,2x2", "--settings", "a=1", "--settings", "b=2")
    assert code == 1
    assert [row["standing"] for row in found["rows"]] == ["error"] * 4
    assert "RuntimeError: made_up: needs enforce_eager=True" in found["rows"][0]["why"]
    assert found["rows"][3]["given"] == {"b": 2}
    assert said.count("made_up: needs enforce_eager=True") >= 4


def test_plain_vllm_that_cannot_be_loaded_is_said(bench: Any) -> None:
    code, _, found = bench("--engine", "act=plain-refuse")
    assert code == 1
    assert found["rows"][0]["why"].startswith("plain vLLM: RuntimeError: made_up: needs enforce_eager=True")


def test_an_engine_that_breaks_is_loaded_again_for_the_next_load(bench: Any) -> None:
    code, _, found = bench("--engine", "act=break", "--loads", "1x1,2x2")
    assert code == 1
    assert [(row["standing"], row["prompts"]) for row in found["rows"]] == [("error", 1), ("error", 2)]
    assert "index 7 is out of bounds" in found["rows"][1]["why"]


def test_an_engine_that_breaks_in_the_profile_keeps_its_figure(bench: Any) -> None:
    _, said, found = bench("--engine", "act=unprofiled", "--loads", "1x1,2x2", "--profile")
    assert [(row["standing"], row["ratio"] is not None) for row in found["rows"]] == [("alive", True)] * 2
    assert said.count("it broke after that: IndexError: index 7 is out of bounds") == 2
    assert found["profiles"] == []


def test_profile_and_memory_are_kept_and_shown(bench: Any) -> None:
    code, said, found = bench("--profile", "--steps-memory", "1000", "--loads", "1x4,2x4")
    assert code == 0, said
    assert [profile["prompts"] for profile in found["profiles"]] == [1, 2]
    assert found["profiles"][0]["patched"]["rows"][0]["name"] == "gemm"
    (memory,) = found["memory"]
    steps = [point["steps"] for point in memory["points"]]
    assert steps == sorted(steps)
    assert steps[-1] >= 1000
    assert len(steps) <= 10
    assert "gemm" in said
    assert "MiB in use after steps" in said


def test_the_runtimes_engine_is_measured_without_the_runtime_if_asked(bench: Any) -> None:
    code, said, found = bench("--uninstalled", "--modes", "eager,graphs", "--loads", "1x1,2x2", "--settings", "a=1")
    assert code == 0, said
    for row in found["rows"]:
        assert row["same_mode"]["median"] == pytest.approx(0.8), "measured before the runtime was uninstalled"
        assert row["uninstalled"] == pytest.approx(
            {"median": 1 / 1.1, "low": 1 / 1.1, "high": 1 / 1.1, "confidence": 0.96875, "pairs": 6}
        )
    assert said.count("0.909 [0.909, 0.909]") == 4
    assert bench()[2]["rows"][0]["uninstalled"] is None


@pytest.mark.parametrize(
    ("act", "why"),
    [
        ("gone-short", "after uninstall(): the runtime: 2,047 of 2,048 tokens in pair 1"),
        ("gone-break", "after uninstall(): IndexError: index 7 is out of bounds"),
        ("gone-stays", "after uninstall(): the runtime is still at work in pair 1: decode_rows is 1984, and was 0"),
        ("gone-silent", "after uninstall(): the runtime returned no counters in pair 1"),
        ("gone-empty", "after uninstall(): the runtime returned no counters in pair 1"),
    ],
)
def test_an_engine_that_is_wrong_without_the_runtime_has_no_such_ratio(bench: Any, act: str, why: str) -> None:
    _, said, found = bench("--uninstalled", "--engine", f"act={act}", "--loads", "8x8,1x1")
    first, second = found["rows"]
    assert first["why"].startswith(why) and why in said
    for row in (first, second):
        assert (row["standing"], row["ratio"]["median"], row["uninstalled"]) == ("alive", pytest.approx(0.8), None)
        assert row["why"].startswith("after uninstall(): "), "no row goes without a figure unexplained"


def test_a_dead_row_is_not_measured_again_after_uninstall(bench: Any) -> None:
    code, _, found = bench("--uninstalled", "--engine", "act=dead")
    (row,) = found["rows"]
    assert (code, row["standing"], row["uninstalled"]) == (1, "dead", None)
    assert row["why"].startswith("the runtime was not at work in pair 1")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--loads", "8by8"), "--loads: '8by8' is not PROMPTSxSAMPLES; e.g. --loads 1x16,8x16"),
        (("--loads", "1x1,1x1"), "--loads: a load is listed twice; list each once"),
        (("--modes", "fast"), "--modes: 'fast' is none of eager, graphs; e.g. --modes eager,graphs"),
        (("--modes", "eager,eager"), "--modes: 'eager' is listed twice; e.g. --modes eager,graphs"),
        (
            ("--settings", "strong"),
            "--settings: 'strong' is not KEY=VALUE; write --settings KEY=VALUE,KEY=VALUE, or --settings defaults",
        ),
        (("--model", "m", "--shapes", "qwen2.5-7b"), "--model and --shapes are both given; give one of them"),
        (("--gpu-memory", "0.4"), "--gpu-memory is for --device cuda; leave it out"),
    ],
)
def test_bad_input_is_one_line_before_anything_runs(bench: Any, words: tuple[str, ...], line: str) -> None:
    assert bench(*words) == (2, f"patchkit: {line}\n", {})


def test_shapes_need_no_tokenizer_and_no_weights(bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATCHKIT_HOME", str(tmp_path))
    code, said, found = bench("--shapes", "qwen2.5-7b", "--pairs", "1")
    assert code == 0, said
    assert (found["model"], found["random_weights"], found["prompt"]["kind"]) == ("qwen2.5-7b", True, "random")
    configuration = json.loads((tmp_path / "models/qwen2.5-7b-shapes/config.json").read_text())
    assert (configuration["hidden_size"], configuration["num_hidden_layers"]) == (3584, 28)
