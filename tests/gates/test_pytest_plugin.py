"""Scenarios as pytest items, and the fixtures for the user's own tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from made_up import MadeUp

from patchkit.errors import PatchkitError
from patchkit.gates.pytest_session import settings_of
from patchkit.gates.settings import Settings

Project = MadeUp


def run(pytester: pytest.Pytester, project: Project, *options: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", f"--rootdir={project.root}", *options)


def test_a_green_gate_passes(pytester: pytest.Pytester, made_up: Project) -> None:
    made_up.scenario("first")
    made_up.scenario("second")
    run(pytester, made_up, str(made_up.root), "-k", "first").assert_outcomes(passed=1, deselected=1)


def test_a_red_gate_is_one_line_and_says_what_it_resembles(pytester: pytest.Pytester, made_up: Project) -> None:
    made_up.scenario("first", "{act: error}")
    result = run(pytester, made_up, str(made_up.root))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "p: IndexError: index 7 is out of bounds, at step 2 of call 0 (2 requests: *), in made_up/taps.py:61 "
            "gather (resembles drift 1 (0001-fix))",
            "*last words of p*",
            "FAILED *first.yaml::first - p: IndexError: index 7*",
        ]
    )
    assert "plugin.py" not in result.stdout.str()


def test_gates_run_in_their_order_and_markers_select(pytester: pytest.Pytester, made_up: Project) -> None:
    made_up.scenario("aa", order=3)
    made_up.scenario("bb", order=1)
    made_up.scenario("cc", order=0)
    result = run(pytester, made_up, str(made_up.root), "--collect-only", "-q")
    assert [line.split("::")[1] for line in result.outlines if "::" in line] == ["cc", "bb", "aa"]
    result = run(pytester, made_up, str(made_up.root), "--collect-only", "-q", "-m", "gate", "-k", "cc")
    assert [line.split("::")[1] for line in result.outlines if "::" in line] == ["cc"]


def test_a_broken_scenario_file_is_one_line(pytester: pytest.Pytester, made_up: Project) -> None:
    made_up.scenario("first").write_text("name: [")
    result = run(pytester, made_up, str(made_up.root))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*first.yaml: line 1: expected the node content*"])


def test_a_worker_that_cannot_start_fails_every_gate_in_one_line(
    pytester: pytest.Pytester, made_up: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_START", "die")
    made_up.scenario("first")
    made_up.scenario("second")
    result = run(pytester, made_up, str(made_up.root))
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["the worker ended with exit code 1 before it was ready: ImportError: libcudart*"])


OVERLAY = "extends: first\nparts:\n  - name: p\n    invariants: [{exercised: {decode_steps: 99}}]\n"


def test_what_a_runtime_brings_runs_with_the_shared_scenarios(pytester: pytest.Pytester, made_up: Project) -> None:
    made_up.scenario("first", order=2)
    made_up.scenario("mine", order=1).rename(made_up.gates / "mine.yaml")
    made_up.add("first.yaml", OVERLAY)
    result = run(pytester, made_up, str(made_up.root), "-v")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*mine.yaml::mine PASSED*", "*first.yaml::first FAILED*"])
    result.stdout.fnmatch_lines(["p: not exercised: decode steps 3, this scenario needs at least 99"])
    run(pytester, made_up, str(made_up.root), "-k", "mine").assert_outcomes(passed=1, deselected=1)
    other = made_up.root / "patches" / "other"
    other.mkdir()
    (other / "runtime.yaml").write_text("name: other\n")
    run(pytester, made_up, str(made_up.root), "--runtime", "other").assert_outcomes(passed=1)
    several = run(pytester, made_up, str(made_up.root))
    several.stdout.fnmatch_lines(["*several runtimes in *say --runtime made_up or --runtime other*"])


def test_a_broken_overlay_is_one_line(pytester: pytest.Pytester, made_up: Project) -> None:
    made_up.scenario("first")
    made_up.add("first.yaml", OVERLAY.replace("invariants", "calls"))
    result = run(pytester, made_up, str(made_up.root / "scenarios"))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*gates/first.yaml: parts[[]0[]]: Object contains unknown field `calls`*"])


def test_foreign_yaml_is_left_alone(pytester: pytest.Pytester, tmp_path: Path) -> None:
    for name in ("other.yaml", "scenarios/theirs.yaml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("steps: [cook, eat]\n")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", str(tmp_path))
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_another_project_keeps_its_own_options(tmp_path: Path) -> None:
    names = ("vllm", "device", "runtime", "python", "model", "without")
    (tmp_path / "conftest.py").write_text(
        "def pytest_addoption(parser):\n"
        f"    for name in {names!r}:\n"
        "        parser.addoption(f'--{name}', dest=name, default='cpu:0')\n"
    )
    (tmp_path / "test_theirs.py").write_text(
        "def test_theirs(request):\n"
        "    assert request.config.getoption('--device') == request.config.getoption('device') == 'mps'\n"
        "    assert request.config.getoption('python') == 'cpu:0'\n"
        "    assert request.config.getoption('patchkit_device') == 'cuda'\n"
    )
    words = ["-q", "--device=mps", "--patchkit-device=cuda", "-p", "no:cacheprovider"]
    ran = subprocess.run([sys.executable, "-m", "pytest", *words], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout


@pytest.mark.parametrize("folder", [".", "scenarios", "patches/made_up/gates"])
def test_in_a_project_of_ours_options_have_short_names_too(
    pytester: pytest.Pytester, made_up: Project, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    made_up.scenario("first")
    monkeypatch.chdir(made_up.root / folder)
    words = ("--vllm=0.19.0", "--device=cpu", "--runtime=made_up", "--without=1", "--patchkit-model=/m")
    config = pytester.parseconfig(*words, str(made_up.root / "scenarios"))
    found = {name: config.getoption(f"patchkit_{name}") for name in ("vllm", "device", "runtime", "without", "model")}
    assert found == {"vllm": "0.19.0", "device": "cpu", "runtime": "made_up", "without": ["1"], "model": "/m"}


def test_the_fixtures_run_a_scenario_of_ones_own(pytester: pytest.Pytester, made_up: Project) -> None:
    elsewhere = made_up.scenario("first").rename(made_up.root / "mine.yaml")
    made_up.scenario("second", "{act: error}")
    (made_up.root / "test_mine.py").write_text(
        "from pathlib import Path\n"
        "def test_it(run_scenario, patched_runtime):\n"
        f"    assert run_scenario(Path({str(elsewhere)!r})).passed\n"
        "    assert 'IndexError' in run_scenario('second').reason\n"
        "    assert patched_runtime.tree.pin\n"
    )
    run(pytester, made_up, str(made_up.root / "test_mine.py")).assert_outcomes(passed=1)


def test_each_process_of_xdist_has_one_gpu(
    pytester: pytest.Pytester, made_up: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of(process: int, processes: int, *options: str) -> Settings:
        config = pytester.parseconfig(f"--rootdir={made_up.root}", "--vllm", "0.10.1", *options, str(made_up.root))
        vars(config)["workerinput"] = {"workerid": f"gw{process}", "workercount": processes}
        return settings_of(config)

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    made_up.scenario("aa")
    on_gpus = [of(number, 2, "--device", "cuda") for number in range(2)]
    assert [settings.variables for settings in on_gpus] == [
        (("CUDA_VISIBLE_DEVICES", "3"),),
        (("CUDA_VISIBLE_DEVICES", "5"),),
    ]
    assert [settings.workers for settings in on_gpus] == [1, 1]
    assert of(1, 2).variables == ()
    with pytest.raises(PatchkitError, match=r"3 engines of vLLM .* side by side on 2 GPUs"):
        of(0, 3, "--device", "cuda")


def test_settings_that_cannot_be_are_one_line(pytester: pytest.Pytester, made_up: Project) -> None:
    made_up.scenario("first")
    result = run(pytester, made_up, str(made_up.root), "--vllm", "soon")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["`soon` is no vLLM release; write it as 0.20.0"])
    assert "Traceback" not in result.stdout.str() and "pytest_items.py" not in result.stdout.str()


def test_the_plugin_costs_nothing_until_a_scenario_is_collected() -> None:
    script = (
        "import sys, pytest; before = set(sys.modules); import patchkit.gates.pytest_plugin\n"
        "print(sorted(name for name in set(sys.modules) - before))"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "['patchkit', 'patchkit.gates', 'patchkit.gates.pytest_plugin']"
