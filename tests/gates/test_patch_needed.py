"""Which patches a release still needs, how their headers should change, and how a knock-out shows it."""

from __future__ import annotations

import json
from typing import Any

import made_up as made_up_project
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import MadeUp
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from patchkit.errors import PatchkitError
from patchkit.gates.evidence import Evidence, Knockout, RuntimeUsed, to_json
from patchkit.gates.patch_needed import HARMFUL, NEEDED, NOT_NEEDED, UNKNOWN, need_of
from patchkit.series.narrow_applies_to import narrowed
from patchkit.series.patch import holds_for

RED, GREEN = False, True
KNOCKOUT = ("knockout", "--vllm", "0.20.0")


@pytest.mark.parametrize(
    ("whole", "without", "state", "why"),
    [
        ({"a": GREEN, "b": GREEN}, {"a": GREEN, "b": RED}, NEEDED, "b is red without it"),
        ({"a": GREEN, "b": GREEN}, {"b": RED}, NEEDED, "b is red without it"),
        ({"a": GREEN, "b": GREEN}, {"a": GREEN, "b": GREEN}, NOT_NEEDED, "every gate is green without it"),
        (
            {"a": GREEN, "b": RED},
            {"a": GREEN, "b": GREEN},
            HARMFUL,
            "b is red with it and green without it; every gate",
        ),
        ({"a": RED, "b": RED}, {"a": RED, "b": GREEN}, HARMFUL, "b is red with it and green without it"),
        ({"a": GREEN, "b": RED}, {"a": RED, "b": GREEN}, NEEDED, "a is red without it; but b is red with it"),
        ({"a": GREEN, "b": RED}, {"a": GREEN, "b": RED}, UNKNOWN, "b is red with it and without it"),
        ({"a": GREEN, "b": GREEN}, {"a": GREEN}, UNKNOWN, "not run: b"),
        ({"a": GREEN, "b": GREEN}, {}, UNKNOWN, "not run: a, b"),
        ({}, {}, UNKNOWN, "not run: a, b"),
    ],
)
def test_what_the_gates_say_of_a_patch(whole: dict[str, bool], without: dict[str, bool], state: str, why: str) -> None:
    found = need_of(whole, without, ["a", "b"])
    assert found.state == state and found.why.startswith(why)


def test_a_few_of_the_gates_do_not_show_that_a_patch_can_go() -> None:
    assert need_of({"a": GREEN}, {"a": GREEN}, ["a"], not_selected=11).state == UNKNOWN
    assert need_of({"a": GREEN}, {"a": RED}, ["a"], not_selected=11).state == NEEDED
    assert need_of({}, {}, []).state == UNKNOWN


cells = st.dictionaries(st.sampled_from("abc"), st.booleans())


@given(cells, cells, st.integers(0, 1))
def test_a_patch_can_go_only_if_every_gate_was_seen_green_without_it(
    whole: dict[str, bool], without: dict[str, bool], not_selected: int
) -> None:
    found = need_of(whole, without, ["a", "b", "c"], not_selected)
    all_green = not_selected == 0 and all(whole.get(gate) and without.get(gate) for gate in "abc")
    assert (found.state == NOT_NEEDED) == all_green
    if found.state == HARMFUL:
        assert any(whole.get(gate) is RED and without.get(gate) is GREEN for gate in "abc")
    assert found.why and "\n" not in found.why


@pytest.mark.parametrize(
    ("header", "needs", "becomes"),
    [
        (">=0.11.0", {"0.28.0": False}, "vllm >=0.11.0,<0.28.0"),
        ("", {"0.28.0": False}, "vllm <0.28.0"),
        (">=0.11.0,<0.30", {"0.27.0": False, "0.28.0": False, "0.26.0": True}, "vllm >=0.11.0,<0.27.0"),
        (">=0.11.0,<0.20", {"0.27.0": False}, None),  # it does not take that one anyway
        (">=0.11.0", {"0.28.0": True}, None),
        ("", {"0.10.1.1": False}, "vllm >0.10.1.1"),  # developed on that one
        (">=0.10.2", {"0.10.2": False, "0.11.1": True}, "vllm >0.10.2"),
        (">=0.11.0", {"0.12.0": True, "0.13.0": False, "0.14.0": True}, "vllm >=0.11.0,!=0.13.0"),
        (">=0.28.0", {"0.28.0": False}, ""),  # nothing is left
    ],
)
def test_how_a_header_should_say_it(header: str, needs: dict[str, bool], becomes: str | None) -> None:
    found = {Version(release): needed for release, needed in needs.items()}
    assert narrowed(SpecifierSet(header), found, Version("0.10.1.1")) == becomes


releases = st.builds("0.{}.{}".format, st.integers(10, 14), st.integers(0, 2)).map(Version)


@given(st.dictionaries(releases, st.booleans(), max_size=8), st.sampled_from(["", ">=0.11.0", ">=0.11.0,<0.13.1"]))
def test_a_narrowed_header_takes_what_is_needed_and_not_what_is_not(needs: dict[Version, bool], header: str) -> None:
    taken = SpecifierSet(header)
    becomes = narrowed(taken, needs, Version("0.10.1.1"))
    spare = [release for release, needed in needs.items() if not needed and holds_for(taken, release)]
    assert (becomes is None) == (not spare)
    if becomes is not None:
        after = SpecifierSet((becomes or "vllm <0").removeprefix("vllm"))
        for release, needed in needs.items():
            assert holds_for(after, release) == (needed and holds_for(taken, release))


# Through the command line.


def found(project: MadeUp) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((project.root / ".patchkit/evidence/knockout-0.20.0-cpu.json").read_text())
    return {row["patch"]: row for row in record["knockouts"]}


def test_a_knockout_says_which_patch_is_needed_and_which_no_longer(made_up: MadeUp, patchkit: Any) -> None:
    made_up.scenario("first", order=1)
    made_up.scenario("second", "{without-0002-fix: killed}", order=2)
    code, out, _ = patchkit(*KNOCKOUT)
    assert code == 1
    rows = found(made_up)
    assert (rows["0001-fix"]["need"], rows["0001-fix"]["narrowed"]) == (NOT_NEEDED, "vllm >=0.11.0,<0.20.0")
    assert (rows["0002-fix"]["need"], rows["0002-fix"]["narrowed"]) == (NEEDED, None)
    said = [" ".join(line.split()) for line in out.splitlines()]
    at = said.index("on vLLM 0.20.0:")
    assert said[at + 1 : at + 5] == [
        "need patch, and why",
        "no longer needed 0001-fix: every gate is green without it",
        "narrow `Applies-To: vllm >=0.11.0` to `vllm >=0.11.0,<0.20.0`, or drop the patch",
        "needed 0002",
    ]
    assert "1 of 2 patches caught; 1 needed, 1 no longer needed (0001) in" in out
    assert (
        patchkit("report", ".patchkit/evidence/knockout-0.20.0-cpu.json", "--format", "markdown")[1].count("needed") > 2
    )


def test_a_patch_that_does_harm(made_up: MadeUp, patchkit: Any) -> None:
    """The series with it is red, without it green."""
    made_up.scenario("first", "{act: error, without-0001-fix: good}", order=1)
    made_up.scenario("second", "{without-0002-fix: killed}", order=2)
    code, out, _ = patchkit(*KNOCKOUT)
    assert code == 1
    rows = found(made_up)
    assert rows["0001-fix"]["need"] == HARMFUL
    assert rows["0001-fix"]["need_why"] == "first is red with it and green without it; every gate is green without it"
    assert rows["0002-fix"]["need"] == NEEDED  # and first is no witness against it
    assert "the whole series is red already: first" in out
    assert "1 needed, 1 harmful (0001)" in out


def test_a_gate_that_is_red_anyway_catches_nothing(made_up: MadeUp, patchkit: Any) -> None:
    made_up.scenario("first", "{act: error}", order=1)
    made_up.scenario("second", order=2)
    assert patchkit(*KNOCKOUT)[0] == 1
    row = found(made_up)["0001-fix"]
    assert (row["caught"], row["need"]) == (False, UNKNOWN)
    assert "first is red with the whole series already" in row["reason"]


def test_with_some_of_the_gates_it_is_not_said_that_a_patch_can_go(made_up: MadeUp, patchkit: Any) -> None:
    made_up.scenario("first", order=1)
    made_up.scenario("second", order=2)
    patchkit(*KNOCKOUT, "--only", "first")
    row = found(made_up)["0001-fix"]
    assert (row["need"], row["narrowed"]) == (UNKNOWN, None)
    assert row["need_why"] == "the gate that was run is green without it, and 1 gate of the runtime not run"


def test_what_depends_on_a_patch_is_left_out_with_it(
    made_up: MadeUp, patchkit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = made_up_project.PATCHES
    monkeypatch.setattr(second, "depends", (first.name,))
    made_up.scenario("first", "{without-0001-fix-0002-fix: error}", order=1)
    made_up.scenario("second", "{without-0002-fix: killed, without-0001-fix-0002-fix: killed}", order=2)
    assert patchkit(*KNOCKOUT)[0] == 0
    rows = found(made_up)
    assert (rows["0001-fix"]["left_with"], rows["0002-fix"]["left_with"]) == (["0002-fix"], [])
    assert rows["0001-fix"]["need"] == rows["0002-fix"]["need"] == NEEDED


def test_a_patch_that_cannot_be_left_out_is_unknown_and_the_others_are_judged(
    made_up: MadeUp, patchkit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tree(project: Any, runtime: str, release: str, without: Any = ()) -> Any:
        if [*without] == ["0001-fix"]:
            raise PatchkitError("0002-fix does not apply: made_up/a.py:3", "redo it")
        return made_up_project.made_up_tree(project, runtime, release, without)

    monkeypatch.setattr("patchkit.series.patched_tree", tree)
    made_up.scenario("first", order=1)
    made_up.scenario("second", "{without-0002-fix: killed}", order=2)
    assert patchkit(*KNOCKOUT)[0] == 1
    rows = found(made_up)
    assert rows["0001-fix"]["need"] == UNKNOWN
    assert rows["0001-fix"]["need_why"] == "it cannot be left out: 0002-fix does not apply: made_up/a.py:3"
    assert (rows["0002-fix"]["need"], rows["0002-fix"]["caught"]) == (NEEDED, True)


def test_earlier_knockouts_tell_where_the_need_ends(made_up: MadeUp, patchkit: Any) -> None:
    """Needed on 0.21.0 by evidence: so 0.20.0 is no end."""
    made_up.scenario("first", order=1)
    made_up.scenario("second", "{without-0002-fix: killed}", order=2)
    record = Evidence(
        kind="knockout",
        release="0.21.0",
        device="cpu",
        runtime=RuntimeUsed(name="made_up", pin="0123456789abcdef"),
        knockouts=[Knockout(patch="0001-fix", caught=True, need="needed")],
    )
    folder = made_up.root / "evidence"
    folder.mkdir()
    (folder / "knockout-0.21.0-cpu.json").write_text(to_json(record))
    (folder / "knockout-damaged.json").write_text("{")
    patchkit(*KNOCKOUT)
    assert found(made_up)["0001-fix"]["narrowed"] == "vllm >0.20.0"
