"""A break stays open unless the touch that it breaks was read, and fits."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_runtime import drift, runner, toy

from patchkit.drift.drift import verdict
from patchkit.drift.surface_check import Touched
from patchkit.drift.touch import Touch, Unread
from patchkit.errors import PatchkitError
from patchkit.verbs.drift import check_read

OLD, NEW = runner(), runner("batch, 3", "self, batch, stale=0")
HOOKS = {
    "at the top": "from vllm.runner import Runner\ndef step({taken}): return {value}\nRunner.step = step\n",
    "inside a function": """
        def install():
            from vllm.runner import Runner
            def step({taken}): return {value}
            Runner.step = step
    """,
    "by importlib": """
        import importlib
        def install():
            owner = importlib.import_module("vllm.runner").Runner
            def step({taken}): return {value}
            setattr(owner, "step", step)
    """,
    "by wrapt": """
        import wrapt
        def step({taken}): return {value}
        def install(): wrapt.wrap_object("vllm.runner", "Runner.step", step)
    """,
    "by a subclass": """
        from vllm.runner import Runner
        class Mine(Runner):
            def step({taken}): return {value}
    """,
}


@pytest.mark.parametrize("code", [code for name, code in HOOKS.items() if name != "by wrapt"])
def test_a_hook_that_does_not_take_what_vllm_gives_is_open_wherever_it_stands(tmp_path: Path, code: str) -> None:
    project = toy(tmp_path, code.format(taken="self, batch", value="batch"), "replaces: [vllm.runner.Runner.step]")
    ((finding,),) = [one.unpatched for one in drift(project, OLD, NEW)]
    assert (finding.kind, finding.severity) == ("parameter-added", "loud")
    assert "does not take what runner.py:3 gives" in finding.because


@pytest.mark.parametrize("code", HOOKS.values(), ids=HOOKS)
def test_a_hook_that_takes_it_is_none(tmp_path: Path, code: str) -> None:
    project = toy(tmp_path, code.format(taken="self, *rest, **named", value="rest"), "wraps: [vllm.runner.Runner.step]")
    (result,) = drift(project, OLD, NEW)
    assert result.unpatched == [] and result.breaks[0].fixed_by == ("upstream",)


def test_a_hook_that_was_not_read_is_open_and_says_which_line_could_not_be_followed(tmp_path: Path) -> None:
    code = "from vllm import runner\ndef install(holder, name):\n    setattr(holder, name, lambda self, *rest: 1)\n"
    (result,) = drift(toy(tmp_path, code, "wraps: [vllm.runner.Runner.step]"), OLD, NEW)
    (finding,) = result.unpatched
    assert finding.because == "no line of the patched code was read that wraps it; not followed: rt/__init__.py:3"
    assert verdict(result) == "1 loud break, unpatched"


def test_a_call_that_was_read_says_nothing_of_a_hook_that_was_not(tmp_path: Path) -> None:
    code = "from vllm.runner import Runner\ndef use(r: Runner): return r.step(1)\n"
    (result,) = drift(toy(tmp_path, code, "wraps: [vllm.runner.Runner.step]"), OLD, NEW)
    assert "was read that wraps it" in result.unpatched[0].because


def test_a_replacement_that_cannot_be_known_does_not_fit(tmp_path: Path) -> None:
    code = "import foreign\nfrom vllm.runner import Runner\nRunner.step = foreign.made(1)\n"
    (result,) = drift(toy(tmp_path, code, "replaces: [vllm.runner.Runner.step]"), OLD, NEW)
    assert result.unpatched[0].because == "what takes its place at rt/__init__.py:3 could not be followed"


# Neither release has it.


def test_a_misspelt_symbol_is_open_with_the_nearest_names(tmp_path: Path) -> None:
    project = toy(tmp_path, "", "calls: [vllm.runner.Runner.finnish, vllm.runer.Runner.step]")
    (result,) = drift(project, OLD, OLD)
    assert {one.symbol: one.sentence for one in result.unpatched} == {
        "vllm.runner.Runner.finnish": "is neither in 1.0 nor in 2.0; nearest: vllm.runner.Runner.finish",
        "vllm.runer.Runner.step": "is neither in 1.0 nor in 2.0; nearest: vllm.runner",
    }
    assert verdict(result) == "2 loud breaks, unpatched"


def test_a_module_that_lives_on_through_getattr_says_so(tmp_path: Path) -> None:
    lazy = runner(old="def __getattr__(name):\n    import vllm.runner\n    return getattr(vllm.runner, name)\n")
    (result,) = drift(toy(tmp_path, "", "wraps: [vllm.old.Runner]"), lazy, lazy)
    assert "`__getattr__` at old.py:1 may have it" in result.unpatched[0].sentence


def test_what_only_some_releases_have_is_missed_only_there(tmp_path: Path) -> None:
    surface = 'reads: [vllm.runner.NEW]\nonly_in: {vllm.runner.NEW: ">=2.5"}'
    assert drift(toy(tmp_path / "a", "", surface), OLD, OLD)[0].unpatched == []
    late = 'reads: [vllm.runner.NEW]\nonly_in: {vllm.runner.NEW: ">=2.0"}'
    assert [one.kind for one in drift(toy(tmp_path / "b", "", late), OLD, OLD)[0].unpatched] == ["not-found"]


def test_what_has_gone_is_told_once_on_a_timeline(tmp_path: Path) -> None:
    gone = {**OLD, "vllm/runner.py": "class Runner: pass\n"}
    result = drift(toy(tmp_path, "", "calls: [vllm.runner.Runner.finish]"), OLD, gone, gone)
    assert [[one.kind for one in each.unpatched] for each in result] == [["gone"], []]


def test_a_class_whose_constructor_lies_elsewhere_was_not_compared(tmp_path: Path) -> None:
    layer = runner(layer="from torch import nn\nclass Layer(nn.Module):\n    x: int\n")
    (result,) = drift(toy(tmp_path, "", "constructs: [vllm.layer.Layer]"), layer, layer)
    assert result.unpatched[0].sentence.endswith("so it was not compared")


# Nothing is declared, or nothing was read.


def test_a_surface_that_names_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PatchkitError, match="names no symbol of vLLM") as caught:
        drift(toy(tmp_path, "", "types: {}"), OLD, NEW)
    assert "`patchkit surface --runtime rt`" in caught.value.fix


def test_code_that_touches_nothing_is_an_error_with_the_lines_that_could_not_be_followed() -> None:
    state = Touched("pin", (), {}, frozenset(), (Unread("rt/a.py:3", "`exec` runs text"),))
    with pytest.raises(PatchkitError, match=r"in the pin's code; not followed: rt/a\.py:3 `exec` runs text"):
        check_read([state], whole=False)


def test_a_whole_check_refuses_a_single_line_that_could_not_be_followed() -> None:
    touch = Touch("vllm.m.C.x", "reads", "rt/a.py:1")
    state = Touched("pin", (touch,), {}, frozenset(), (Unread("rt/a.py:3", "`exec` runs text"),))
    check_read([state], whole=False)
    with pytest.raises(PatchkitError, match=r"1 line of the pin's code could not be followed: rt/a\.py:3"):
        check_read([state], whole=True)
