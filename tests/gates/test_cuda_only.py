"""Parts that make sense on CUDA alone: elsewhere they are not run, not counted, and that is said."""

from __future__ import annotations

from typing import Any

from made_up import MadeUp
from runs import make_scenario

from patchkit.gates.evidence import read_evidence


def test_a_part_for_cuda_alone_is_left_out_elsewhere() -> None:
    scenario = make_scenario("alive", cuda_only="a CPU has one stream")
    assert scenario.fitting("eager", "cpu") is None
    assert scenario.fitting("graphs", "cuda") == scenario
    assert scenario.left_out_whole("eager", "cpu") == "made_up is CUDA only: a CPU has one stream"
    assert "cuda_only" not in scenario.parts[0].for_worker()
    assert make_scenario("alive").left_out_whole("graphs", "cpu") == ""


def test_on_a_cpu_it_is_said_and_not_counted(made_up: MadeUp, patchkit: Any) -> None:
    made_up.scenario("first")
    path = made_up.scenario("late")
    path.write_text(path.read_text().replace("- name: p\n", "- name: p\n    cuda_only: a CPU has one stream\n"))
    code, out, err = patchkit("gate", "--vllm", "0.20.0")
    assert code == 0, err
    assert "late" not in out and "1 of 1 gate passes" in out and ", 1 part CUDA only" in out
    record = read_evidence(made_up.root / ".patchkit/evidence/gate-0.20.0-cpu.json")
    assert [verdict.scenario for verdict in record.verdicts] == ["first"]
    assert record.cuda_only == {"late.p": "a CPU has one stream"}
    code, out, err = patchkit("gate", "--vllm", "0.20.0", "--only", "late")
    assert (code, out) == (2, "")
    assert err == "patchkit: late is CUDA only: a CPU has one stream; run it with --device cuda\n"
