"""What a runtime leaves behind, and its own checks: each goes red for the stated reason."""

from __future__ import annotations

from typing import Any

import pytest
from runs import declare, make_part, make_pass, make_run, make_runtime

from patchkit.errors import PatchkitError
from patchkit.gates.part_run import Run
from patchkit.gates.scenario import load_scenario
from patchkit.gates.verdict import judge_part
from patchkit.gates.worker_client import request_for


def reasons(run: Run) -> list[str]:
    return [broken.reason for broken in judge_part(run)[1]]


LEFT = [
    ({"what": "attribute", "name": "vllm.a.B.step", "is": "made_up.hook"}, "vllm.a.B.step is made_up.hook"),
    ({"what": "attribute", "name": "vllm.a.B.step", "is": None}, "vllm.a.B.step is gone"),
    ({"what": "hook", "name": "model._forward_hooks", "is": "made_up.tap"}, "model._forward_hooks has made_up.tap"),
    (
        {"what": "memory", "bytes": 2_400_000, "largest": "float32 [3, 9]"},
        "2.4 MB of tensors are held, the largest float32 [3, 9]",
    ),
    (
        {"what": "random", "name": "numpy", "step": 4},
        "the global generator of numpy was moved beside vLLM's own draws, by step 4",
    ),
    ({"what": "counter", "name": "hits", "was": 8, "is": 0}, "the counter hits was 8 and is 0"),
    (
        {"what": "raised", "name": "a second uninstall()", "is": "KeyError: 1"},
        "a second uninstall() raised KeyError: 1",
    ),
]


@pytest.mark.parametrize(("left", "said"), LEFT)
def test_whatever_is_left_behind_is_said_in_a_line(left: dict[str, Any], said: str) -> None:
    run = make_run(make_part("left_clean"), passes=[make_pass(left=[left])])
    assert reasons(run) == [f"after uninstall() {said}"]


def test_a_clean_pass_is_green_and_one_at_which_nobody_looked_is_red() -> None:
    part = make_part("left_clean")
    clean = make_run(part, passes=[make_pass(left=[])])
    assert reasons(clean) == [] and judge_part(clean)[0].figures["clean_passes"] == 1
    assert reasons(make_run(part, passes=[make_pass()])) == ["what uninstall() leaves was not examined"]
    assert reasons(make_run(part, passes=[make_pass("plain")])) == ["no pass with the runtime"]


def test_three_differences_are_said_and_which_install_left_them() -> None:
    part = make_part("left_clean", runtime=[{}, {"size": 4}])
    run = make_run(part, passes=[make_pass(left=[]), make_pass(install=1, left=[left for left, _ in LEFT])])
    (reason,) = reasons(run)
    assert reason.startswith("after uninstall() (install 1) vllm.a.B.step is made_up.hook; ")
    assert reason.endswith("model._forward_hooks has made_up.tap, and 4 more")


def checked(**held: bool | None) -> list[dict[str, Any]]:
    return [
        {"name": name, "held": one, "reason": "" if one else f"of {name}", "seconds": 0.1} for name, one in held.items()
    ]


def run_of_checks(least: int, **held: bool | None) -> Run:
    part = make_part({"checks_hold": {"at_least": least}}, calls=[], checks="lifecycle")
    return make_run(part, steps=[], passes=[], checks=checked(**held))


def test_every_failed_check_is_said_by_name_and_reason() -> None:
    assert reasons(run_of_checks(2, one=True, two=True)) == []
    assert reasons(run_of_checks(2, one=False, two=False, three=True)) == [
        "the check one failed: of one",
        "the check two failed: of two",
    ]


def test_a_skipped_check_has_not_passed() -> None:
    run = run_of_checks(1, one=True, two=None)
    assert reasons(run) == []
    assert judge_part(run)[0].figures == {"checks": 1, "skipped_checks": 1, "skipped two": "of two"}
    assert reasons(run_of_checks(2, one=True, two=None)) == ["1 check of 2 made, two skipped"]
    assert reasons(run_of_checks(1)) == ["0 checks of 1 made"]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (declare("checks_hold"), "parts[0]: checks_hold needs `checks: MODULE`"),
        (declare("alive", calls=[]), "parts[0]: calls is empty"),
        (declare("alive", calls=[], checks="a"), "parts[0]: a part with checks is judged by checks_hold alone"),
        (declare("checks_hold", checks="a"), "parts[0]: checks stand alone"),
        (declare("checks_hold", calls=[], checks="a.b"), "parts[0]: checks names a module"),
        (declare({"checks_hold": {"at_least": 0}}, calls=[], checks="a"), "checks_hold: at_least must be at least 1"),
    ],
)
def test_what_is_wrong_with_a_part_of_checks(raw: dict[str, Any], said: str) -> None:
    with pytest.raises(PatchkitError) as refused:
        load_scenario(raw)
    assert said in str(refused.value)


def test_the_worker_is_told_where_the_checks_are() -> None:
    part = make_part("checks_hold", calls=[], checks="lifecycle")
    sent, _ = request_for(part, make_runtime(), {}, "0.28.0")
    assert sent["gates"] == "/gates" and sent["part"]["checks"] == "lifecycle"
    assert request_for(make_part(), make_runtime(), {}, "0.28.0")[0]["gates"] is None
