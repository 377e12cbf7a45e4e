"""The scenarios of a project for one of its runtimes: shared, extended, and its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up import MadeUp, patch
from runs import make_run

from patchkit.errors import PatchkitError
from patchkit.gates.caught_by import check_named
from patchkit.gates.invariants.own import own_invariants, runtime_clauses
from patchkit.gates.loading import load_scenarios, scenario_at
from patchkit.gates.verdict import judge_part
from patchkit.project import Project
from patchkit.report.progress_lines import highlights

OVERLAY = "extends: first\nparts:\n  - name: p\n    runtime: {strength: 2}\n    invariants: [lucky: {number: 7}]\n"
INVARIANTS = """\
from patchkit.gates.invariants.base import Broken, Params, count_clause, invariant

from .numbers import LUCKY


class Lucky(Params, frozen=True):
    number: int = LUCKY


@invariant(params=Lucky, clauses=(count_clause(1, "lucky", "{} lucky numbers"),))
def lucky(run, params, figures):
    \"\"\"Every step saw the number.\"\"\"
    figures["lucky"] = params.number
    for step in run.patched:
        if (step.observed or {}).get("number") != params.number:
            yield Broken.at(step, f"no {params.number}")
            return
"""


@pytest.fixture
def project(made_up: MadeUp) -> Project:
    made_up.scenario("first", order=2)
    made_up.scenario("second", order=1)
    made_up.add("numbers.py", "LUCKY = 3\n")
    made_up.add("invariants.py", INVARIANTS)
    return Project(made_up.root, made_up.root / ".patchkit")


def test_overlays_and_own_scenarios_come_with_their_runtime(project: Project, made_up: MadeUp) -> None:
    made_up.add("first.yaml", OVERLAY)
    own = made_up.scenario("mine", order=0, invariant="lucky").rename(made_up.gates / "mine.yaml")
    scenarios = load_scenarios(project, "made_up")
    assert list(scenarios) == ["mine", "second", "first"]
    (part,) = scenarios["first"].parts
    assert part.invariants == ["alive", {"lucky": {"number": 7}}]
    assert part.runtime == {"strength": 2}
    assert [(one.name, params) for one, params in part.judged][2][1].number == 7  # type: ignore[attr-defined]
    assert scenario_at(own, project, "made_up") == scenarios["mine"]
    assert scenario_at(made_up.gates / "first.yaml", project, "made_up") is None
    assert list(load_scenarios(project, "another")) == ["second", "first"], "another runtime has none of it"


def test_an_invariant_of_a_runtime_judges_and_tells(project: Project, made_up: MadeUp) -> None:
    made_up.add("first.yaml", OVERLAY)
    (part,) = load_scenarios(project, "made_up")["first"].parts
    verdict, broken = judge_part(make_run(part))
    assert broken[0].reason.startswith("no 7, at step 0 of call 0")
    assert highlights(dict(verdict.figures)) == "7 lucky numbers"
    assert any(clause.rank == 1 for clause in runtime_clauses())


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("o.yaml", "extends: third\nparts: [{name: p}]\n", "o.yaml: extends: no shared scenario is named 'third'"),
        ("o.yaml", "extends: first\nparts: [{name: p, kind: x}]\n", "o.yaml: parts[0]: Object contains unknown field"),
        (
            "o.yaml",
            "extends: first\nparts: [{name: p, invariants: [unlucky]}]\n",
            "o.yaml: parts[0]: no invariant is named 'unlucky'",
        ),
        ("o.yaml", "extends: first\nparts: [{name: q}]\n", "o.yaml: parts[1]: Object missing required field `inv"),
        ("o.yaml", "extends: [\n", "o.yaml: line 2: "),
        ("invariants.py", "import nothing_of_this_name\n", "invariants.py:1: ModuleNotFoundError: No module named"),
        ("invariants.py", "def f(:\n", "invariants.py:1: SyntaxError: "),
        (
            "invariants.py",
            INVARIANTS.replace("def lucky", "def alive"),
            "invariants.py:10: ValueError: there is a shared invariant named 'alive' already",
        ),
    ],
)
def test_what_is_wrong_names_the_file_and_the_field(
    project: Project, made_up: MadeUp, name: str, text: str, said: str
) -> None:
    made_up.add(name, text)
    with pytest.raises(PatchkitError) as caught:
        load_scenarios(project, "made_up")
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_an_own_scenario_may_not_take_a_shared_name(project: Project, made_up: MadeUp) -> None:
    made_up.scenario("first").rename(made_up.gates / "mine.yaml")
    made_up.scenario("first")
    with pytest.raises(PatchkitError, match=r"mine\.yaml: there is a second scenario named 'first'"):
        load_scenarios(project, "made_up")


def test_invariants_that_were_edited_are_read_anew(made_up: MadeUp) -> None:
    made_up.add("numbers.py", "LUCKY = 3\n")
    path = made_up.add("invariants.py", INVARIANTS)
    first = own_invariants(made_up.gates)
    assert own_invariants(made_up.gates) is first
    path.write_text(INVARIANTS + "\n\n@invariant()\ndef more(run, params, figures):\n    yield from ()\n")
    assert set(own_invariants(made_up.gates)) == {"lucky", "more"}
    assert own_invariants(made_up.gates / "nowhere") == {}


def test_a_patch_must_name_a_gate_that_is_there(project: Project) -> None:
    scenarios = load_scenarios(project, "made_up")
    good, bad = patch(1, "first", "x"), patch(2, "frist", "x")
    for one in (good, bad):
        one.path = Path(f"patches/made_up/{one.name}.patch")
    check_named([good], scenarios)
    with pytest.raises(PatchkitError) as caught:
        check_named([good, bad], scenarios)
    assert str(caught.value) == (
        "patches/made_up/0002-fix.patch: Caught-By: no gate is named 'frist'; "
        "name one of second, first, or write the scenario first"
    )
