"""Scenario files: what is wrong with one is one line that names the file and the field."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, get_args

import pytest
from runs import declare, make_part

from patchkit.errors import PatchkitError
from patchkit.gates.loading import load_scenarios
from patchkit.gates.scenario import Fault, load_scenario, select
from patchkit.project import Project

ROOT = Path(__file__).parents[2]
PROJECT = Project(ROOT, ROOT / ".patchkit")
SHARED = [
    "monotonic_bench",
    "neutrality",
    "multi_generate",
    "decode_shrink",
    "gather_check",
    "mixed_batch",
    "features",
    "identity",
    "guards",
    "compiled",
    "served",
]


def changed(**changes: Any) -> dict[str, Any]:
    return declare("alive") | changes


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (changed(colour="red"), "Object contains unknown field `colour`"),
        (declare("alive", colour="red"), "parts[0]: Object contains unknown field `colour`"),
        (declare("alive", repeat="often"), "parts[0].repeat: Expected `int`, got `str`"),
        (declare("alive", repeat=0), "parts[0]: repeat must be at least 1, not 0"),
        (declare("alive", watch=["tv"]), "parts[0].watch[0]: Invalid enum value 'tv'"),
        (declare("alive", passes=[]), "parts[0]: passes is empty"),
        (declare("alive", name="No Name"), "parts[0]: name must be lower-case letters"),
        (declare(), "parts[0]: a part without invariants proves nothing"),
        (declare("alife"), "parts[0]: no invariant is named 'alife'; there are alive, answers"),
        (declare("poisoned"), "parts[0]: poisoned needs `watch: [poison]`"),
        (declare("same_tokens"), "parts[0]: same_tokens needs a plain pass"),
        (declare({"sampled": {"drawn": -1}}), "parts[0]: sampled: drawn must be at least 0, not -1"),
        (declare({"honoured": {"features": ["flu"]}}), "parts[0]: honoured: features: flu cannot be judged; there are"),
        (declare("alive", watch=["timing", "poison"]), "parts[0]: watch: timing stands alone"),
        (declare("alive", runtime=[]), "parts[0]: runtime is empty"),
        (declare({"exercised": {}}), "parts[0]: exercised: it asks for nothing"),
        (declare({"exercised": {"jumps": 1}}), "parts[0]: exercised: Object contains unknown field `jumps`"),
        (declare({"refused": {}}), "parts[0]: refused: Object missing required field `naming`"),
        (declare({"refused": {"naming": ""}}), "parts[0]: refused: naming is empty"),
        (declare({"refused": {"naming": "("}}), "parts[0]: refused: naming is no regular expression: missing ), unter"),
        (declare({"refused": {"naming": "a", "by_step": -1}}), "parts[0]: refused: by_step must be at least 0, not -1"),
        (declare({"refused": {"naming": "a"}}, "alive"), "parts[0]: refused stands alone: a run that ends in an error"),
        (declare({"refused": {"naming": "a"}}, passes=["plain"]), "parts[0]: refused needs a patched pass"),
        (declare("alive", faults=["flu"]), "parts[0].faults[0]: Invalid enum value 'flu'"),
        (declare("alive", faults="norm_swapped"), "parts[0].faults: Expected `array`, got `str`"),
        (declare("alive", faults=[{"fault": "norm_swapped"}]), "parts[0].faults[0]: Object missing required field"),
        (
            declare("alive", faults=[{"fault": "norm_swapped", "call": 1}]),
            "parts[0]: faults: there is no call 1, only 1",
        ),
        (
            declare("alive", faults=[{"fault": "norm_swapped", "call": 0, "step": 0}]),
            "parts[0].faults[0]: step must be at",
        ),
        (declare({"alive": None, "totals": None}), "parts[0]: an invariant is a name or one `name: {parameters}`"),
        (changed(parts=[]), "parts is empty"),
        (changed(parts=declare("alive")["parts"] * 2), "two parts are named 'p'"),
        (changed(title="two\nlines"), "title must be one line"),
        (changed(timeout=0), "timeout must be at least 1, not 0"),
        (changed(kind="benchmark"), "Object contains unknown field `kind`"),
        ([1], "Expected `object`, got `array`"),
        (None, "Expected `object`, got `null`"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(raw: Any, said: str) -> None:
    with pytest.raises(PatchkitError) as caught:
        load_scenario(raw)
    assert str(caught.value).startswith(f"scenario: {said}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ({"max_tokens": [9, 4]}, "max_tokens must go from the smaller to the larger number, not [9, 4]"),
        ({"max_tokens": 0}, "max_tokens must be at least 1, not 0"),
        ({"n": 0}, "n must be at least 1, not 0"),
        ({"prompts": {"kind": "random", "count": 1}}, "random prompts need `tokens`"),
        ({"prompts": {"kind": "random", "count": 0, "tokens": 3}}, "count must be at least 1, not 0"),
    ],
)
def test_what_is_wrong_with_a_group(group: dict[str, Any], said: str) -> None:
    good = {"prompts": {"kind": "random", "count": 1, "tokens": 4}, "max_tokens": 4}
    with pytest.raises(PatchkitError) as caught:
        load_scenario(declare("alive", calls=[{"groups": [good | group]}]))
    assert f"parts[0].calls[0].groups[0]{'.prompts' if 'prompts' in group else ''}: {said}" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"name: [", "line 1: expected the node content"),
        (b"\xff\xfe\x00", "not a text file in UTF-8"),
        (b"!!python/object/apply:os.system ['true']", "line 1: could not determine a constructor"),
        (b"[" * 5000, "not YAML that can be read (RecursionError"),
        (b"", "Expected `object`, got `null`"),
        (b"\x00\x01", "special characters are not allowed"),
    ],
)
def test_garbage_in_a_file(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    with pytest.raises(PatchkitError) as caught:
        load_scenario(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PatchkitError, match=r"cannot read .*/none\.yaml: No such file"):
        load_scenario(tmp_path / "none.yaml")
    (tmp_path / "scenarios").mkdir()  # else patchkit's own are used
    with pytest.raises(PatchkitError, match="no scenario in"):
        load_scenarios(Project(tmp_path, tmp_path), "made_up")


def test_the_worker_is_told_everything_but_what_must_hold() -> None:
    sent = make_part("alive", {"exercised": {"shrinks": 1}}, runtime={"strength": 0.5}, off=True).for_worker()
    assert "invariants" not in sent
    assert sent["runtime"] == [{"strength": 0.5}]
    assert sent["off"] is True
    assert sent["calls"][0]["groups"][0]["prompts"] == {"kind": "random", "count": 1, "tokens": 8}
    assert make_part("alive", runtime=[{}, {"strength": 1}]).for_worker()["runtime"] == [{}, {"strength": 1}]


def test_how_a_run_ended_is_always_judged_and_first() -> None:
    assert [one.name for one, _ in make_part("totals", "alive").judged] == ["finished", "totals", "alive"]
    assert [one.name for one, _ in make_part({"refused": {"naming": "a"}}).judged] == ["refused"]
    both = make_part("alive", "refused_or_right", {"refused": {"naming": "a"}})
    assert [one.name for one, _ in both.judged] == ["refused_or_right", "refused", "alive"]


def test_the_scenarios_of_this_project() -> None:
    scenarios = load_scenarios(PROJECT, PROJECT.only_runtime())
    gates = [gate.name for gate in select(scenarios)]
    assert [name for name in gates if name in SHARED] == SHARED
    assert "learning" in gates, "the runtime's own"
    assert sorted(path.stem for path in (ROOT / "scenarios").glob("*.yaml")) == sorted(SHARED)


def test_what_a_part_may_name_are_the_faults_of_the_worker() -> None:
    tree = ast.parse((ROOT / "patchkit" / "worker" / "faults.py").read_text())
    tables = [node for node in tree.body if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict)]
    (made,) = [[ast.literal_eval(key) for key in table.value.keys if key] for table in tables]  # type: ignore[union-attr]
    assert sorted(made) == sorted(get_args(Fault))
    later = {"fault": "norm_swapped", "call": 0, "step": 3}
    assert make_part("alive", faults=["norm_swapped", later]).for_worker()["faults"] == ("norm_swapped", later)


def test_select() -> None:
    scenarios = load_scenarios(PROJECT, PROJECT.only_runtime())
    assert [one.name for one in select(scenarios, ["identity", "neutrality"])] == ["neutrality", "identity"]
    with pytest.raises(PatchkitError, match="no gate is named 'nope'; there are monotonic_bench, neutrality"):
        select(scenarios, ["nope"])


def test_where_vllm_refuses_what_a_part_asks_for_it_is_judged_by_that_alone() -> None:
    part = make_part("alive", refused_by_vllm=[{"runner": "v2", "vllm": "<0.26.0", "naming": "Unsupported"}])
    assert [one.name for one, _ in part.on("0.25.1", "v2").judged] == ["refused_by_vllm"]
    assert part.on("0.25.1", "v1") is part and part.on("0.26.0", "v2") is part
    assert "refused_by_vllm" not in part.for_worker()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"invariants": ["alive", {"refused_by_vllm": {"naming": "a"}}]}, "refused_by_vllm stands alone"),
        ({"invariants": [{"refused_by_vllm": {"naming": "bad ("}}]}, "naming is no regular expression"),
        ({"invariants": [{"refused_by_vllm": {"naming": ""}}]}, "naming is empty"),
        (
            {"refused_by_vllm": [{"runner": "v2", "vllm": "<0.26.0", "naming": "bad ("}], "invariants": ["alive"]},
            "naming is no regular expression",
        ),
        (
            {
                "refused_by_vllm": [{"runner": "v2", "vllm": "<0.26.0", "naming": "a"}],
                "invariants": ["checks_hold"],
                "checks": "mine",
                "calls": [],
            },
            "refused_by_vllm is for a part with calls",
        ),
    ],
)
def test_a_refusal_by_vllm_that_could_not_be_judged_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(PatchkitError, match=why):
        make_part(*given.pop("invariants"), **given)


def test_where_vllm_refuses_a_part_must_be_releases() -> None:
    with pytest.raises(PatchkitError, match=r"refused_by_vllm\[0\]: vllm: 'soon' is not like"):
        make_part(refused_by_vllm=[{"runner": "v2", "vllm": "soon", "naming": "Unsupported"}])
