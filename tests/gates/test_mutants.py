"""``patchkit mutants`` through the command line, on a made-up runtime and the fake worker."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from made_up import PATCHES, MadeUp, made_up_tree

from patchkit.gates.mutants import named_parts_first, trouble_of
from patchkit.gates.mutants_evidence import MutantRun, MutantsEvidence, read_mutants_evidence, score
from patchkit.series.series import PatchChoice
from patchkit.series.worktree import Tree

MUTANTS = ("mutants", "--vllm", "0.20.0")
CODE = "ANSWER = 41 + 1\n"
MUTANT = """Subject: The answer is {answer}

Family: {family}
{fields}
---
diff --git a/code.py b/code.py
--- a/code.py
+++ b/code.py
@@ -1 +1 @@
-ANSWER = 41 + 1
+ANSWER = {answer}
"""


class Project(MadeUp):
    """A made-up project with mutants of its one line of code."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runtime = next((path.parent.name for path in root.glob("patches/*/runtime.yaml")), "esamp")
        self.place = root / ".patchkit/trees" / self.runtime / "0.20.0"
        self.place.mkdir(parents=True)
        (self.place / "code.py").write_text(CODE)

    def mutant(self, number: int, name: str, *fields: str, family: str = "rows", answer: str = "") -> Path:
        path = self.root / f"patches/{self.runtime}/mutants/{number:03}-{name}.patch"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(MUTANT.format(family=family, fields="\n".join(fields), answer=answer or number))
        return path

    def tree(self, project: Any, runtime: str, release: str, without: Sequence[str] = ()) -> Tree:
        choices = tuple(PatchChoice(patch, True, "") for patch in PATCHES)  # type: ignore[arg-type]
        manifest: Any = made_up_tree(project, runtime, release).runtime
        return Tree(self.place, manifest, release, choices, "0123456789abcdef", "", "", {}, False)

    def evidence(self, name: str = "mutants") -> MutantsEvidence:
        return read_mutants_evidence(self.root / f".patchkit/evidence/{name}-0.20.0-cpu.json")


@pytest.fixture
def project(made_up: MadeUp, monkeypatch: pytest.MonkeyPatch) -> Project:
    import patchkit.series

    found = Project(made_up.root)
    monkeypatch.setattr(patchkit.series, "patched_tree", found.tree)
    return found


def outcomes(found: MutantsEvidence) -> dict[str, tuple[str, str | None]]:
    return {one.mutant: (one.outcome, one.by) for one in found.mutants}


def test_all_killed(project: Project, patchkit: Any) -> None:
    project.scenario("first", "{001-one: error}", order=1)
    project.scenario("second", "{002-two: error}", order=2)
    project.mutant(1, "one", "Caught-By: first: IndexError")
    project.mutant(2, "two", "Caught-By: first: never said", "Caught-By: second: p: IndexError", family="slot")
    project.mutant(3, "three", "Equivalent: nobody reads it", family="stale")
    code, out, err = patchkit(*MUTANTS)
    assert code == 0, out + err
    assert "2 of 2 mutants killed (100 %), 2 as their headers say\n3 of 3 run, 1 equivalent one does not count" in out
    assert out.splitlines()[-1].endswith(".patchkit/evidence/mutants-0.20.0-cpu.json")
    assert re.search(r"^rows +1 +0 +1 +1 +1 +0 +0$", out, re.MULTILINE)
    assert re.search(r"^all +3 +1 +2 +2 +2 +0 +0$", out, re.MULTILINE)
    for line in ("series on first: ✓", "✓ 001-one: killed at first: p: IndexError", "✓ 003-three: equivalent"):
        assert line in err
    found = project.evidence()
    assert outcomes(found) == {
        "001-one": ("killed", "first"),
        "002-two": ("killed", "second"),
        "003-three": ("equivalent", None),
    }
    assert found.mutants[0].gates == ["first"]
    assert found.mutants[0].reason.startswith("p: IndexError: index 7")
    assert {gate.gate for gate in found.control} == {"first", "second"}
    assert (found.kind, found.chosen, found.score.percent) == ("mutants", "", 100.0)
    assert [path.name for path in project.place.parent.iterdir()] == ["0.20.0"]


def test_survivors_are_listed_whole(project: Project, patchkit: Any) -> None:
    project.scenario("first", "{001-one: error}")
    project.scenario("second")
    project.mutant(1, "one", "Caught-By: first: IndexError")
    project.mutant(2, "two", "Caught-By: second: IndexError")
    code, out, err = patchkit(*MUTANTS)
    assert code == 1
    assert "✗ 002-two (rows): The answer is 2\n    survived 2 gates; its header says second: IndexError\n" in out
    assert "1 of 2 mutants killed (50 %), 1 as their headers say\nsurvived 1\n2 of 2 run" in out
    assert "✗ 002-two: survived" in err
    assert project.evidence().mutants[1].gates == ["second", "first"]


def test_red_otherwise_than_its_header_says(project: Project, patchkit: Any) -> None:
    project.scenario("first", "{001-one: error, 003-three: error}")
    project.scenario("second", "{002-two: error}")
    project.mutant(1, "one", "Caught-By: first: row 7 differs")
    project.mutant(2, "two", "Caught-By: first: row 7 differs")
    project.mutant(3, "three", "Equivalent: nobody reads it")
    code, out, _ = patchkit(*MUTANTS)
    assert code == 1
    assert outcomes(project.evidence()) == {
        "001-one": ("misattributed", "first"),
        "002-two": ("misattributed", "second"),
        "003-three": ("misattributed", "first"),
    }
    assert "misattributed: first is red: p: IndexError" in out
    assert "; its header says first: row 7 differs" in out
    assert "; its header says equivalent: nobody reads it" in out
    assert "3 of 3 mutants killed (100 %), 0 as their headers say\nmisattributed 3" in out
    assert project.evidence().score.equivalent == 0


def test_trouble_of_the_worker_is_no_kill(project: Project, patchkit: Any) -> None:
    project.scenario("first", "{001-one: garbage, 002-two: killed, 003-three: error}")
    project.mutant(1, "one", "Caught-By: first: garbage")
    project.mutant(2, "two", "Caught-By: first: killed by SIGKILL")
    project.mutant(3, "three", "Caught-By: first: IndexError")
    code, out, _ = patchkit(*MUTANTS, "--jobs", "1")
    assert code == 1
    assert outcomes(project.evidence()) == {
        "001-one": ("unknown", "first"),
        "002-two": ("unknown", "first"),
        "003-three": ("killed", "first"),
    }
    assert "unknown at first: the worker printed garbage" in out
    assert "unknown at first: the run was killed by SIGKILL: is there enough memory?" in out
    assert "1 of 3 mutants killed (33.3 %)" in out and "unknown 2" in out


def test_a_worker_that_dies_under_a_mutant_is_started_anew(project: Project, patchkit: Any) -> None:
    project.scenario("first", "{001-one: die, 002-two: error}")
    project.mutant(1, "one", "Caught-By: first: exit code 3")
    project.mutant(2, "two", "Caught-By: first: IndexError")
    assert patchkit(*MUTANTS, "--jobs", "1")[0] == 1
    assert outcomes(project.evidence()) == {"001-one": ("unknown", "first"), "002-two": ("killed", "first")}


def test_a_worker_that_cannot_start_is_a_line(project: Project, patchkit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_START", "die")
    project.scenario("first")
    project.mutant(1, "one", "Caught-By: first: IndexError")
    code, out, err = patchkit(*MUTANTS)
    assert (code, out) == (2, "") and "libcudart" in err.splitlines()[-1]


def test_a_run_without_end_is_red(project: Project, patchkit: Any) -> None:
    path = project.scenario("first", "{001-one: hang, 002-two: hang}")
    path.write_text(path.read_text() + "timeout: 1\n")
    project.mutant(1, "one", "Caught-By: first: hung: no event for 1 s")
    project.mutant(2, "two", "Caught-By: first: IndexError")
    assert patchkit(*MUTANTS)[0] == 1
    assert outcomes(project.evidence()) == {"001-one": ("killed", "first"), "002-two": ("misattributed", "first")}


def test_a_series_that_is_red_already(project: Project, patchkit: Any) -> None:
    project.scenario("first", "{act: error}")
    project.mutant(1, "one", "Caught-By: first: IndexError")
    code, out, _ = patchkit(*MUTANTS)
    assert code == 1
    assert "first is red without a mutant: p: IndexError" in out
    assert "red without a mutant: first\nno mutant was judged" in out
    assert project.evidence().mutants == [] and project.evidence().score.percent is None


def test_a_gate_that_is_red_already_leaves_unknown_what_it_would_judge(project: Project, patchkit: Any) -> None:
    project.scenario("first", "{001-one: error}")
    project.scenario("second", "{act: error}")
    project.mutant(1, "one", "Caught-By: first: IndexError")
    project.mutant(2, "two", "Caught-By: first: IndexError")
    code, out, _ = patchkit(*MUTANTS)
    assert code == 1
    assert outcomes(project.evidence()) == {"001-one": ("killed", "first"), "002-two": ("unknown", "second")}
    assert "unknown at second: red without a mutant: p: IndexError" in out


def test_a_killed_mutant_costs_no_other_gate(project: Project, patchkit: Any) -> None:
    project.scenario("first", "{001-one: error}")
    project.scenario("second")
    project.mutant(1, "one", "Caught-By: first: IndexError")
    assert patchkit(*MUTANTS)[0] == 0
    assert [gate.gate for gate in project.evidence().control] == ["first"]


TWO_PARTS = """\
  - name: q
    engine: {002-two: error}
    calls: [{groups: [{prompts: {kind: random, count: 1, tokens: 4}, max_tokens: 4}]}]
    invariants: [alive]
"""


def test_the_part_that_a_reason_names_runs_first(project: Project, patchkit: Any) -> None:
    path = project.scenario("first", "{001-one: error, 002-two: error, 003-three: garbage}")
    path.write_text(path.read_text() + TWO_PARTS)
    project.mutant(1, "one", "Caught-By: first: q: never said")
    project.mutant(2, "two", "Caught-By: first: q: IndexError")
    assert patchkit(*MUTANTS)[0] == 1
    one, two = project.evidence().mutants
    assert (one.outcome, two.outcome) == ("misattributed", "killed")
    assert one.reason.startswith("p: ") and two.reason.startswith("q: ")
    parts: Any = [SimpleNamespace(name=name) for name in ("p", "q", "q-2")]
    for pattern, names in {
        "q: row": ["q", "p", "q-2"],
        "^(q-2: a|b)": ["q-2", "p", "q"],
        "row": ["p", "q", "q-2"],
    }.items():
        assert [part.name for part in named_parts_first(parts, [re.compile(pattern)])] == names


def test_some_of_them(project: Project, patchkit: Any) -> None:
    project.scenario("first", "{001-a: error, 002-b: error, 003-c: error}")
    for number, name, family in ((1, "a", "rows"), (2, "b", "rows"), (3, "c", "slot")):
        project.mutant(number, name, "Caught-By: first: IndexError", family=family)

    def ran(*options: str) -> list[str]:
        code, out, err = patchkit(*MUTANTS, *options)
        assert code == 0, out + err
        return [one.mutant for one in project.evidence("some-mutants").mutants]

    assert ran("--mutant", "1", "--mutant", "003-c") == ["001-a", "003-c"]
    assert ran("--family", "rows") == ["001-a", "002-b"]
    assert [name[-1] for name in ran("--sample", "2", "--seed", "4")][-1] == "c"
    assert project.evidence("some-mutants").chosen == "sample of 2, seed 4"
    assert project.evidence("some-mutants").score.there_are == 3
    assert not (project.root / ".patchkit/evidence/mutants-0.20.0-cpu.json").exists()
    code, _, err = patchkit(*MUTANTS, "--mutant", "9")
    assert (code, err) == (2, "patchkit: no mutant '9' for this release; there are 3; --check lists them\n")


def test_one_that_needs_cuda_is_neither_killed_nor_a_survivor_on_a_cpu(project: Project, patchkit: Any) -> None:
    project.scenario("first", "{001-one: error}")
    project.mutant(1, "one", "Caught-By: first: IndexError")
    project.mutant(2, "two", "Device: cuda", "Caught-By: on_cuda_alone: IndexError")
    code, out, err = patchkit(*MUTANTS)
    assert code == 0, out + err
    assert "1 of 1 mutant killed (100 %), 1 as their headers say\n1 of 1 run\n1 more needs CUDA, not run here" in out
    found = project.evidence()
    assert outcomes(found) == {"001-one": ("killed", "first")}
    assert (found.needs_cuda, found.score.there_are) == (["002-two"], 1)
    code, out, err = patchkit(*MUTANTS, "--mutant", "2")
    assert (code, out, err) == (2, "", "patchkit: mutant 002-two needs CUDA; run it with --device cuda\n")


def test_json_is_one_document(project: Project, patchkit: Any, tmp_path: Path) -> None:
    project.scenario("first", "{001-one: error}")
    project.mutant(1, "one", "Caught-By: first: IndexError")
    code, out, _ = patchkit(*MUTANTS, "--json", "--evidence", str(tmp_path / "e.json"))
    assert code == 0
    assert json.loads(out) == json.loads((tmp_path / "e.json").read_text())
    assert json.loads(out)["score"]["killed"] == 1


def test_check_runs_nothing(project: Project, patchkit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_START", "die")
    project.scenario("first")
    project.mutant(1, "one", "Caught-By: first: IndexError")
    project.mutant(2, "two", "Equivalent: nobody reads it")
    code, out, err = patchkit(*MUTANTS, "--check")
    assert (code, err) == (0, "")
    assert "001-one (rows): The answer is 1\n    first: IndexError\n" in out
    assert "2 mutants can be run" in out
    code, out, _ = patchkit(*MUTANTS, "--check", "--json")
    assert [row["mutant"] for row in json.loads(out)["mutants"]] == ["001-one", "002-two"]


@pytest.mark.parametrize(
    ("fields", "answer", "said"),
    [
        (("Caught-By: frist: IndexError",), "", "001-one.patch: Caught-By: no gate 'frist'; there are first"),
        ((), "", "001-one.patch: Caught-By: missing"),
        (("Caught-By: first: IndexError",), "41  +  1", "001-one.patch changes nothing that runs"),
        (("Caught-By: first: IndexError",), "(", "001-one.patch: code.py is not valid Python any more"),
        (("Caught-By: first: IndexError", "Depends: 0009-none"), "", "Depends: the series has no 0009-none"),
    ],
)
def test_no_proper_mutant_is_refused_before_anything_costly(
    project: Project,
    patchkit: Any,
    monkeypatch: pytest.MonkeyPatch,
    fields: tuple[str, ...],
    answer: str,
    said: str,
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("an environment was asked for")

    monkeypatch.setattr("patchkit.environments.ensure", never)
    project.scenario("first")
    project.mutant(1, "one", *fields, answer=answer)
    code, out, err = patchkit(*MUTANTS)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_no_mutants_at_all(project: Project, patchkit: Any) -> None:
    project.scenario("first")
    code, _, err = patchkit(*MUTANTS)
    assert code == 2 and "patchkit: no mutants in " in err
    code, _, err = patchkit(*MUTANTS, "--evidence", str(project.place / "code.py" / "e.json"))
    assert code == 2 and "cannot write" in err


def test_ctrl_c_ends_everything(project: Project, patchkit: Any) -> None:
    path = project.scenario("first", "{001-one: hang}")
    path.write_text(path.read_text() + "timeout: 60\n")
    project.mutant(1, "one", "Caught-By: first: IndexError")
    threading.Timer(2.0, signal.raise_signal, [signal.SIGINT]).start()
    began = time.monotonic()
    code, out, err = patchkit(*MUTANTS)
    assert (code, out, err.splitlines()[-1]) == (130, "", "patchkit: interrupted")
    assert time.monotonic() - began < 20
    assert [path.name for path in project.place.parent.iterdir()] == ["0.20.0"]
    children = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "args"], capture_output=True, text=True).stdout
    assert "fake_worker.py" not in children


def run_of(outcome: Any, family: str = "rows") -> MutantRun:
    return MutantRun(mutant="001-x", family=family, what="It is wrong", outcome=outcome)


def test_the_score_and_what_it_is_of() -> None:
    found = score(
        [run_of(one) for one in ("killed", "killed", "misattributed", "survived", "unknown", "equivalent")], 9
    )
    assert (found.there_are, found.run, found.counted, found.killed, found.as_stated) == (9, 6, 5, 3, 2)
    assert (found.survived, found.misattributed, found.unknown, found.equivalent) == (1, 1, 1, 1)
    assert found.percent == 60.0
    assert score([run_of("equivalent")], 1).percent is None


def test_trouble() -> None:
    def trouble(trouble: str = "", signal: Any = None) -> str:
        run: Any = SimpleNamespace(trouble=trouble, exit=SimpleNamespace(signal=signal))
        return trouble_of(run)

    assert trouble() == "" and trouble("hung: no event for 9 s, its limit is 9 s", "SIGKILL") == ""
    assert trouble("not done within 9 s: its last event came 0 s ago", "SIGKILL") == ""
    assert trouble("the worker ended with exit code 3") == "the worker ended with exit code 3"
    assert "memory" in trouble(signal="SIGKILL") and "memory" in trouble(signal=9)
    assert trouble(signal="SIGSEGV") == ""
