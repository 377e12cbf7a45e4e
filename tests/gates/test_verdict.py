"""Verdicts, and what a red one resembles."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from runs import declare, make_run, make_scenario, make_step

from patchkit.errors import PatchkitError
from patchkit.gates.evidence import Evidence, RuntimeUsed, Verdict, read_evidence, to_json, write_evidence
from patchkit.gates.scenario import load_scenario
from patchkit.gates.verdict import judge


def patch(number: int, *caught_by: tuple[str, str]) -> SimpleNamespace:
    named = [(scenario, re.compile(reason)) for scenario, reason in caught_by]
    return SimpleNamespace(name=f"{number:04}-fix", drift=number, caught_by=named)


DEAD = [make_step(number, candidates=0) for number in range(5)]


def test_the_first_broken_thing_is_the_reason() -> None:
    scenario = make_scenario("counts_equal", "alive")
    verdict = judge(scenario, [make_run(scenario.parts[0], [*DEAD, make_step(5, seen_rows=1, candidates=0)])])
    assert not verdict.passed
    assert verdict.reason.startswith("p: seen rows 1, the worker counted 4 decode rows, at step 5")
    assert (verdict.step, verdict.shape and verdict.shape.decode_rows) == (5, 4)
    assert verdict.reasons[1] == "p: candidates 0 over 6 decode steps"


@pytest.mark.parametrize(
    ("patches", "resembles"),
    [
        ([patch(4, ("made_up", "candidates 0"))], "drift 4 (0004-fix)"),
        ([patch(4, ("elsewhere", "candidates 0"))], "drift 4 (0004-fix)"),
        ([patch(4, ("elsewhere", "candidates 0")), patch(5, ("made_up", "candidates"))], "drift 5 (0005-fix)"),
        (
            [patch(4, ("made_up", "candidates")), patch(5, ("made_up", "0"))],
            "drift 4 (0004-fix) or drift 5 (0005-fix)",
        ),
        ([patch(4, ("made_up", "IndexError"))], None),
        ([], None),
    ],
)
def test_resembles(patches: list[SimpleNamespace], resembles: str | None) -> None:
    scenario = make_scenario("alive")
    assert judge(scenario, [make_run(scenario.parts[0], DEAD)], patches).resembles == resembles


def test_a_part_that_did_not_run_is_red() -> None:
    raw = declare("alive")
    raw["parts"] = [raw["parts"][0] | {"name": name} for name in ("a", "b")]
    scenario = load_scenario(raw)
    verdict = judge(scenario, [make_run(scenario.parts[0])])
    assert (verdict.passed, verdict.reason) == (False, "1 of 2 parts ran")
    both = judge(scenario, [make_run(part) for part in scenario.parts])
    assert both.passed
    assert both.figures == {"a.decode_steps": 23, "b.decode_steps": 23}


def evidence(*verdicts: Verdict) -> Evidence:
    runtime = RuntimeUsed(name="made_up", pin="0123")
    return Evidence(kind="gate", release="0.20.0", device="cpu", runtime=runtime, verdicts=list(verdicts))


def test_evidence_comes_back_as_it_went(tmp_path) -> None:
    scenario = make_scenario("alive")
    left = evidence(judge(scenario, [make_run(scenario.parts[0], DEAD)]))
    write_evidence(tmp_path / "folder" / "e.json", left)
    assert read_evidence(tmp_path / "folder" / "e.json") == left
    assert not left.passed
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["e.json"]


def test_a_figure_that_is_not_a_number_is_null() -> None:
    assert '"score": null' in to_json(evidence(Verdict(scenario="a", passed=True, figures={"score": float("nan")})))


def test_evidence_of_nothing_proves_nothing() -> None:
    assert not evidence().passed
    assert evidence(Verdict(scenario="a", passed=True)).passed


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b'{"kind": "party"}'])
def test_what_is_not_evidence(tmp_path, content: bytes) -> None:
    (tmp_path / "e.json").write_bytes(content)
    with pytest.raises(PatchkitError, match="is not patchkit's evidence"):
        read_evidence(tmp_path / "e.json")
