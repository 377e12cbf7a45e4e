"""What a runtime adds to a shared scenario: nothing shared is lost, and an error is one line."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import declare

from patchkit.errors import PatchkitError
from patchkit.gates.overlay import merge, read_overlay
from patchkit.gates.scenario import load_scenario

NAMES = st.sampled_from(["a", "b", "c", "d"])
SETTINGS = st.dictionaries(st.sampled_from(["x", "y", "z"]), st.integers(0, 9), max_size=3)
INVARIANTS = st.lists(st.sampled_from(["alive", "totals", "sampled", "counts_equal"]), min_size=1, unique=True)
WATCH = st.lists(st.sampled_from(["poison", "distributions"]), unique=True)


def part(name: str, **fields: Any) -> dict[str, Any]:
    whole: dict[str, Any] = declare("alive")["parts"][0]
    return whole | {"name": name} | fields


@st.composite
def shared_scenarios(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(NAMES, min_size=1, unique=True))
    runtime = st.one_of(SETTINGS, st.lists(SETTINGS, min_size=1, max_size=2))
    fields = {"runtime": runtime, "engine": SETTINGS, "watch": WATCH, "invariants": INVARIANTS}
    return declare() | {"parts": [part(name, **{key: draw(value) for key, value in fields.items()}) for name in names]}


@st.composite
def overlays(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(NAMES, min_size=1, unique=True))
    fields = {"runtime": SETTINGS, "engine": SETTINGS, "watch": WATCH, "invariants": INVARIANTS}
    parts = []
    for name in names:
        given_ = draw(st.lists(st.sampled_from(sorted(fields)), unique=True))
        parts.append({"name": name} | {key: draw(fields[key]) for key in given_})
    return {"extends": "made_up", "parts": parts}


def corrected(shared: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """The overlay with a complete part wherever the shared scenario has none of that name."""
    known = {one["name"] for one in shared["parts"]}
    return overlay | {"parts": [one if one["name"] in known else part(**one) for one in overlay["parts"]]}


@settings(deadline=None)
@given(shared_scenarios(), overlays())
def test_a_merge_loses_nothing_and_says_what_both_say(shared: dict[str, Any], overlay: dict[str, Any]) -> None:
    overlay = corrected(shared, overlay)
    before = deepcopy((shared, overlay))
    merged = merge(shared, read_overlay(overlay, "o.yaml"), "o.yaml")
    assert (shared, overlay) == before, "neither is changed"
    assert load_scenario(shared) and load_scenario(merged), "what is merged is a scenario still"

    new, old = ({one["name"]: one for one in where["parts"]} for where in (merged, shared))
    added = {one["name"]: one for one in overlay["parts"]}
    assert list(new) == [*old, *(name for name in added if name not in old)]
    assert {key: merged[key] for key in ("name", "title", "guards")} == {
        key: shared[key] for key in ("name", "title", "guards")
    }
    for name, was in old.items():
        more = added.get(name, {})
        assert new[name]["calls"] == was["calls"]
        for field in ("watch", "invariants"):
            assert new[name][field][: len(was[field])] == was[field], "the shared demands stay, and stay first"
            assert set(new[name][field]) == {*was[field], *more.get(field, [])}
            assert len(set(new[name][field])) == len(new[name][field])
        assert new[name]["engine"] == {**was["engine"], **more.get("engine", {})}
        installs = was["runtime"] if isinstance(was["runtime"], list) else [was["runtime"]]
        found = new[name]["runtime"] if isinstance(new[name]["runtime"], list) else [new[name]["runtime"]]
        assert found == [{**one, **more.get("runtime", {})} for one in installs]


@settings(deadline=None)
@given(shared_scenarios(), overlays())
def test_merging_again_changes_nothing(shared: dict[str, Any], overlay: dict[str, Any]) -> None:
    read = read_overlay(corrected(shared, overlay), "o.yaml")
    once = merge(shared, read, "o.yaml")
    known = {one["name"] for one in shared["parts"]}
    again = (
        read_overlay({"extends": "made_up", "parts": [one for one in read.parts if one["name"] in known]}, "o.yaml")
        if (any(one["name"] in known for one in read.parts))
        else None
    )
    assert again is None or merge(once, again, "o.yaml") == once


def test_an_overlay_may_list_installs_over_the_shared_settings() -> None:
    shared = declare("alive", runtime={"x": 1})
    read = read_overlay({"extends": "made_up", "parts": [{"name": "p", "runtime": [{}, {"y": 2}]}]}, "o.yaml")
    assert merge(shared, read, "o.yaml")["parts"][0]["runtime"] == [{"x": 1}, {"x": 1, "y": 2}]


@pytest.mark.parametrize(
    ("overlay", "said"),
    [
        ({"parts": [{"name": "p", "calls": []}]}, "parts[0]: Object contains unknown field `calls`"),
        ({"parts": [{"name": "p", "invariants": "alive"}]}, "parts[0]: invariants: Expected `array`, got `str`"),
        ({"parts": [{"name": "p", "runtime": [{}]}]}, "parts[0]: runtime: both the shared part and the overlay list"),
        ({"parts": []}, "parts is empty"),
        ({"parts": [{"invariants": ["alive"]}]}, "parts[0]: name is missing"),
        ({"parts": [{"name": "p"}, {"name": "p"}]}, "parts[0]: two parts are named 'p'"),
        ({"parts": [{"name": "p"}], "title": "Mine"}, "Object contains unknown field `title`"),
        ({"extends": 3, "parts": [{"name": "p"}]}, "extends: Expected `str`, got `int`"),
        ({"parts": "all"}, "parts: Expected `array`, got `str`"),
    ],
)
def test_what_is_wrong_with_an_overlay_is_one_line(overlay: dict[str, Any], said: str) -> None:
    shared = declare("alive", runtime=[{}, {}])
    with pytest.raises(PatchkitError) as caught:
        merge(shared, read_overlay({"extends": "made_up"} | overlay, "g/o.yaml"), "g/o.yaml")
    assert str(caught.value).startswith(f"g/o.yaml: {said}")
    assert "\n" not in str(caught.value)
