"""``patchkit gate``, ``knockout`` and ``bench`` through the command line, on a made-up runtime."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from made_up import PATCHES, MadeUp

GATE = ("gate", "--vllm", "0.20.0")
KNOCKOUT = ("knockout", "--vllm", "0.20.0")
BENCH = ("bench", "--vllm", "0.20.0")


def evidence(project: MadeUp, kind: str = "gate") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project.root / f".patchkit/evidence/{kind}-0.20.0-cpu.json").read_text())
    return found


def test_gate_all_green(made_up: MadeUp, patchkit: Any) -> None:
    made_up.scenario("second", order=2)
    made_up.scenario("first", order=1)
    code, out, err = patchkit(*GATE)
    assert code == 0, out + err
    lines = out.splitlines()
    assert lines[0].startswith("✓ first ")
    assert lines[1].startswith("✓ second")
    assert lines[2].startswith("2 of 2 gates pass in ")
    assert lines[2].endswith(".patchkit/evidence/gate-0.20.0-cpu.json")
    found = evidence(made_up)
    assert found["command"] == "patchkit gate --vllm 0.20.0"
    assert found["runtime"]["patches"] == ["0001-fix", "0002-fix"]
    assert found["versions"]["vllm"] == "0.20.0"
    assert found["hardware"]["cores"] >= 1
    assert [verdict["passed"] for verdict in found["verdicts"]] == [True, True]


def test_gate_one_red(made_up: MadeUp, patchkit: Any) -> None:
    made_up.scenario("first", "{act: error}")
    made_up.scenario("second")
    code, out, _ = patchkit(*GATE)
    assert code == 1
    assert "✗ first " in out
    assert "p: IndexError: index 7 is out of bounds, at step 2 of call 0" in out
    assert "resembles drift 1 (0001-fix)" in out
    assert "1 of 2 gates pass" in out
    assert evidence(made_up)["verdicts"][0]["resembles"] == "drift 1 (0001-fix)"


def test_gate_json_is_one_document(made_up: MadeUp, patchkit: Any) -> None:
    made_up.scenario("first")
    code, out, _ = patchkit(*GATE, "--json")
    assert code == 0
    assert json.loads(out) == evidence(made_up)


def test_gate_only(made_up: MadeUp, patchkit: Any, tmp_path: Path) -> None:
    made_up.scenario("first")
    made_up.scenario("second", "{act: error}")
    code, out, _ = patchkit(*GATE, "--only", "first", "--evidence", str(tmp_path / "e.json"))
    assert code == 0
    assert "1 of 1 gate pass" in out
    assert (tmp_path / "e.json").exists()
    code, _, err = patchkit(*GATE, "--only", "third")
    assert code == 2
    assert err.strip() == "patchkit: no gate is named 'third'; there are first, second"


@pytest.mark.parametrize("verb", [GATE, KNOCKOUT, BENCH])
def test_evidence_that_cannot_be_written_is_refused_before_anything_runs(
    verb: tuple[str, ...], made_up: MadeUp, patchkit: Any
) -> None:
    made_up.scenario("first")
    (made_up.root / "file").touch()
    code, out, err = patchkit(*verb, "--evidence", "file/e.json")
    assert (code, out) == (2, "")
    assert err == "patchkit: cannot write file/e.json: File exists; free some room or choose another folder\n"


def test_gate_with_a_broken_scenario_or_worker(made_up: MadeUp, patchkit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made_up.scenario("first")
    monkeypatch.setenv("FAKE_START", "die")
    code, _, err = patchkit(*GATE)
    assert code == 2
    assert "patchkit: the worker ended with exit code 1 before it was ready: ImportError: libcudart" in err
    path.write_text("name: 1")
    code, _, err = patchkit(*GATE)
    assert code == 2
    assert "Traceback" not in err


def test_gate_heeds_no_options_of_the_users_own_pytest(
    made_up: MadeUp, patchkit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up.scenario("first")
    (made_up.root / "pytest.ini").write_text("[pytest]\naddopts = -n 2 --no-such-option -ra\n")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-n 2 --collect-only")
    code, out, _ = patchkit(*GATE)
    assert code == 0 and "1 of 1 gate passes" in out
    assert os.environ["PYTEST_ADDOPTS"] == "-n 2 --collect-only"


def test_gate_runs_without_pytest(made_up: MadeUp, patchkit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up.scenario("first")
    (made_up.root / "conftest.py").write_text("raise RuntimeError\n")
    monkeypatch.setattr("pytest.main", None)
    code, out, err = patchkit(*GATE)
    assert code == 0, out + err
    assert "1 of 1 gate passes" in out


def test_knockout_all_caught(made_up: MadeUp, patchkit: Any) -> None:
    made_up.scenario("first", "{without-0001-fix: error}", order=1)
    made_up.scenario("second", "{without-0002-fix: killed}", order=2)
    code, out, err = patchkit(*KNOCKOUT)
    assert code == 0, out + err
    assert "✓ without 0001-fix: first goes red" in out
    assert "2 of 2 patches caught" in out
    assert [line.rstrip() for line in out.splitlines() if line.startswith(("nothing", "0001", "0002"))] == [
        "nothing    ✓  ✓",
        "0001-fix  [✗] ✓   caught",
        "0002-fix   ✓ [✗]  caught",
    ]
    found = evidence(made_up, "knockout")
    assert [(row["patch"], row["caught"], row["by"]) for row in found["knockouts"]] == [
        ("0001-fix", True, "first"),
        ("0002-fix", True, "second"),
    ]
    assert found["knockouts"][0]["verdicts"]["second"] == {"passed": True, "reason": ""}


def test_knockout_not_caught_or_for_another_reason(made_up: MadeUp, patchkit: Any) -> None:
    made_up.scenario("first")
    made_up.scenario("second", "{without-0002-fix: error}")
    code, out, _ = patchkit(*KNOCKOUT)
    assert code == 1
    assert "✗ without 0001-fix: not caught\n    first is green" in out
    assert "second is red for another reason than 'killed by SIGKILL': p: IndexError" in out
    assert "0 of 2 patches caught" in out


def test_knockout_of_a_series_that_is_red_already(made_up: MadeUp, patchkit: Any) -> None:
    made_up.scenario("first", "{act: error}")
    made_up.scenario("second", "{without-0002-fix: killed}")
    code, out, _ = patchkit(*KNOCKOUT)
    assert code == 1
    assert "the whole series is red already: first" in out


def test_knockout_shows_the_place_of_its_evidence_as_it_is(made_up: MadeUp, patchkit: Any) -> None:
    made_up.scenario("first", "{without-0001-fix: error}")
    made_up.scenario("second")
    code, out, err = patchkit(*KNOCKOUT, "--patch", "1", "--evidence", "[/x]/[bold].json")
    assert code == 0, out + err
    assert out.rstrip().endswith("[/x]/[bold].json")


def test_knockout_of_one_patch(made_up: MadeUp, patchkit: Any) -> None:
    made_up.scenario("first")
    made_up.scenario("second", "{without-0002-fix: killed}")
    assert patchkit(*KNOCKOUT, "--patch", "2")[0] == 0
    assert len(evidence(made_up, "knockout")["knockouts"]) == 1
    code, _, err = patchkit(*KNOCKOUT, "--patch", "9")
    assert code == 2
    assert err.strip() == "patchkit: no patch '9' is taken for this release; there are 0001-fix, 0002-fix"


def test_a_patch_of_the_other_model_runner_is_not_knocked_out(
    made_up: MadeUp, patchkit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up.scenario("first", "{without-0001-fix: error}")
    made_up.scenario("second")
    monkeypatch.setattr(PATCHES[1], "symbols", ["vllm.v1.worker.gpu.model_runner.GPUModelRunner"])
    patchkit(*KNOCKOUT)
    found = evidence(made_up, "knockout")
    assert [one["patch"] for one in found["knockouts"]] == ["0001-fix"]
    assert found["not_taken"]["0002-fix"] == "of the second model runner alone: see it with --runner v2"
    code, _, err = patchkit(*KNOCKOUT, "--patch", "2")
    assert (code, err.strip()) == (
        2,
        "patchkit: nothing here can miss patch 0002; of the second model runner alone: see it with --runner v2",
    )


def test_knockout_when_the_worker_keeps_dying(made_up: MadeUp, patchkit: Any) -> None:
    for number in range(9):
        made_up.scenario(f"gate{number}", "{act: die}")
    code, _, err = patchkit(*KNOCKOUT)
    assert code == 2
    assert "patchkit: the worker died 3 times" in err


def test_bench_refuses_until_the_gates_are_green_on_this_tree(made_up: MadeUp, patchkit: Any) -> None:
    first = made_up.scenario("first", "{act: error}")
    code, _, err = patchkit(*BENCH)
    assert (code, err.strip()) == (
        2,
        "patchkit: no benchmark yet: no gate was run for vLLM 0.20.0 on cpu; run `patchkit gate --vllm 0.20.0`, or say "
        "--unproven",
    )
    assert patchkit(*GATE)[0] == 1
    code, _, err = patchkit(*BENCH)
    assert code == 2
    assert "no benchmark: gate first is red (p: IndexError" in err

    first.unlink()
    made_up.scenario("first")
    assert patchkit(*GATE)[0] == 0
    code, out, err = patchkit(*BENCH)
    assert code == 0, out + err
    assert "✓ eager" in out
    assert evidence(made_up, "throughput-smollm2-135m")["kind"] == "throughput"

    made_up.scenario("second")
    code, _, err = patchkit(*BENCH)
    assert code == 2
    assert "no benchmark yet: gate second was not run on this tree" in err


def test_bench_sees_the_gates_whose_evidence_went_elsewhere(made_up: MadeUp, patchkit: Any, tmp_path: Path) -> None:
    made_up.scenario("first")
    elsewhere = tmp_path / "e.json"
    assert patchkit(*GATE, "--only", "first", "--evidence", str(elsewhere))[0] == 0
    assert patchkit(*BENCH)[0] == 2, "some of the gates are not all of them"
    code, out, _ = patchkit(*GATE, "--evidence", str(elsewhere))
    assert (code, str(elsewhere) in out.replace("\n", "")) == (0, True)
    assert json.loads(elsewhere.read_text()) == evidence(made_up)
    assert patchkit(*BENCH)[0] == 0


def test_only_gates_leave_a_copy(made_up: MadeUp, patchkit: Any, tmp_path: Path) -> None:
    made_up.scenario("first", "{without-0001-fix: error}")
    assert patchkit(*KNOCKOUT, "--patch", "1", "--evidence", str(tmp_path / "e.json"))[0] == 0
    assert (tmp_path / "e.json").exists()
    assert not (made_up.root / ".patchkit/evidence").exists()


def test_bench_refuses_on_evidence_of_another_tree(made_up: MadeUp, patchkit: Any) -> None:
    made_up.scenario("first")
    assert patchkit(*GATE)[0] == 0
    path = made_up.root / ".patchkit/evidence/gate-0.20.0-cpu.json"
    path.write_text(path.read_text().replace("0002-fix", "0002-other"))
    code, _, err = patchkit(*BENCH)
    assert code == 2
    assert "the gates were run on another pin or other patches" in err
    path.write_text("garbage")
    code, _, err = patchkit(*BENCH)
    assert code == 2
    assert "is not patchkit's evidence" in err


@pytest.mark.parametrize(
    "words", [(*GATE, "-n", "9"), (*KNOCKOUT, "-n", "9"), ("mutants", "--vllm", "0.20.0", "-j", "9")]
)
def test_more_engines_than_a_gpu_takes_are_refused(
    made_up: MadeUp, patchkit: Any, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    made_up.scenario("first")
    code, out, err = patchkit(*words, "--device", "cuda")
    assert (code, out) == (2, "")
    fix = "ask for 8 at most, or leave the number out"
    assert err == f"patchkit: 9 engines of vLLM 0.20.0 cannot load side by side on 1 GPU; {fix}\n"
