"""The pool: whatever a grader does, every sample gets a grade, and nothing is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import CancelledError
from pathlib import Path
from types import ModuleType

import pytest

from patchkit.errors import PatchkitError
from patchkit.evals.grader_pool import Grading, find_grader
from patchkit.evals.records import Grade
from patchkit.evals.tasks.base import Problem

GRADER = "graders_that_fail:grade"
PROBLEM = Problem(id="p", chat="", plain="", reference="yes")


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def test_every_failure_of_a_grader_is_a_wrong_sample_and_the_others_are_graded():
    reasons = {
        "raises": "grader: ValueError",
        "exits": "grader: SystemExit",
        "dies": "grader: died",
        "is killed": "grader: died",
        "hangs": "grader: timeout",
        "raises what cannot be sent": "grader: Local",
        "returns what cannot be sent": "grader: no grade",
        "returns no grade": "grader: no grade",
        "wrong": "wrong",
    }
    with Grading(GRADER, workers=2, seconds=2) as grading:
        graded = {text: grading.submit(PROBLEM, text) for text in reasons}
        right = [grading.submit(PROBLEM, "right") for _ in range(4)]
        assert grading.describe() == ""
    assert [each.result(0) for each in right] == [Grade(True, answer="right")] * 4
    for text, why in reasons.items():
        grade = graded[text].result(0)
        assert not grade.correct
        assert grade.why == why, text


def test_leaving_after_an_exception_gives_up_what_is_not_graded():
    with pytest.raises(KeyboardInterrupt), Grading(GRADER, workers=1) as grading:
        graded = [grading.submit(PROBLEM, "hangs") for _ in range(3)]
        raise KeyboardInterrupt
    for each in graded:
        with pytest.raises(CancelledError):
            each.result(0)


def test_a_grader_that_loads_here_but_not_in_a_process_of_its_own_is_an_error_of_the_run(monkeypatch):
    monkeypatch.setitem(sys.modules, "only_here", made := ModuleType("only_here"))
    made.grade = lambda problem, text: Grade(True)
    with pytest.raises(PatchkitError, match="cannot start"), Grading("only_here:grade", workers=1) as grading:
        grading.submit(PROBLEM, "right").result(30)


@pytest.mark.parametrize(
    "name",
    ["graders_that_fail:nothing", "no_such_module:grade", "no_such_entry_point", "graders_that_fail:not_a_function"],
)
def test_a_grader_that_is_not_there_is_refused_before_anything_runs(name):
    with pytest.raises(PatchkitError, match="grader"):
        Grading(name)


def test_finds_the_graders_of_this_package():
    assert find_grader("patchkit.evals.graders.python:grade").__name__ == "grade"


def test_a_grader_that_runs_code_says_how_it_is_confined():
    with Grading("grader_with_confinement:grade", workers=1) as grading:
        assert grading.describe() == "in a vault"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_end_of_the_caller_leaves_no_process(tmp_path, how):
    program = tmp_path / "caller.py"
    program.write_text(
        "from patchkit.evals.grader_pool import Grading\n"
        "from patchkit.evals.tasks.base import Problem\n"
        "if __name__ == '__main__':\n"
        "    with Grading('graders_that_fail:grade', workers=2) as grading:\n"
        "        problem = Problem(id='p', chat='', plain='', reference='')\n"
        "        print(grading.submit(problem, 'wrong').result().why, flush=True)\n"
        "        hanging = grading.submit(problem, 'hangs')\n"
        "        while not hanging.running(): pass\n"
        "        print('hangs', flush=True)\n"
    )
    marker = f"PATCHKIT_TEST={tmp_path}"
    environment = {**os.environ, "PATCHKIT_TEST": str(tmp_path), "PYTHONPATH": str(Path(__file__).parent)}
    caller = subprocess.Popen(
        [sys.executable, str(program)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert caller.stdout is not None and caller.stdout.readline() == "wrong\n"
    assert caller.stdout.readline() == "hangs\n"
    assert left(marker)
    caller.send_signal(how)
    caller.wait(30)
    until = time.monotonic() + 20
    while left(marker) and time.monotonic() < until:
        time.sleep(0.1)
    assert not left(marker)


def left(marker: str) -> list[str]:
    """Processes with that in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if marker.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            pass
    return found
