"""Parts with delays: what they must declare, where they are left out, and how they go red."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from runs import make_part, make_pass, make_run

from patchkit.errors import PatchkitError
from patchkit.gates.loading import load_scenarios
from patchkit.gates.part_run import Run
from patchkit.gates.verdict import judge_part
from patchkit.project import find_project

LATE = {"delays": True, "cuda_only": "a CPU has one stream", "repeat": 4, "passes": ["plain", "patched"]}
COUNTERS = {"decode_rows": 9, "seen_rows": 9, "hits": 3, "candidates": 90, "lost_rows": 0, "score": 0.1 + 0.2}


def streams(main: int = 30, own: int = 12) -> list[dict[str, Any]]:
    """The streams of a pass: the main one, vLLM's for copies, the runtime's."""
    counts = [(0, False, main), (1, False, 8), (2, True, own)]
    return [
        {"stream": at, "of_runtime": of_runtime, "delays": delays, "milliseconds": 1.5 * delays}
        for at, of_runtime, delays in counts
    ]


def late_run(*invariants: Any, changes: dict[tuple[str, int], dict[str, Any]] | None = None) -> Run:
    """A faultless run of four repeats, with changes to the pass of a kind and a repeat."""
    passes = []
    for repeat in range(4):
        for kind in ("plain", "patched"):
            own: dict[str, Any] = {"counters": dict(COUNTERS)} if kind == "patched" else {}
            own["delays"] = streams(own=12 if kind == "patched" else 0) if repeat > 1 else None
            passes.append(make_pass(kind, repeat, **own | (changes or {}).get((kind, repeat), {})))
    return make_run(make_part(*invariants, **LATE), steps=[], passes=passes)


def reasons(run: Run) -> list[str]:
    return [broken.reason for broken in judge_part(run)[1]]


def test_a_run_that_gives_the_same_under_delays_is_green() -> None:
    run = late_run({"delayed": {"least": 5}}, "same_again")
    verdict, broken = judge_part(run)
    assert not broken
    assert verdict.figures["repeated_tokens"] == 2 * 3 * 6
    assert (verdict.figures["delays"], verdict.figures["streams_delayed"]) == (2 * 50 + 2 * 38, 3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({("patched", 3): {"delays": None}}, "1 of 2 patched passes had delays"),
        ({("patched", 3): {"delays": []}}, "repeat 3: 0 delays of the main stream, 5 needed"),
        ({("patched", 3): {"delays": streams(own=4)}}, "repeat 3: 4 delays of the runtime's own streams, 5 needed"),
        ({("patched", 2): {"delays": streams(main=0)}}, "repeat 2: 0 delays of the main stream, 5 needed"),
        ({("plain", 2): {"delays": streams(main=4)}}, "repeat 2: 4 delays of the main stream, 5 needed"),
    ],
)
def test_without_delays_of_the_main_and_the_runtimes_streams_it_is_red(changes: Any, said: str) -> None:
    assert said in reasons(late_run({"delayed": {"least": 5}}, changes=changes))


def test_where_no_pass_had_delays_it_is_red() -> None:
    nothing = {(kind, repeat): {"delays": None} for kind in ("plain", "patched") for repeat in (2, 3)}
    assert reasons(late_run("delayed", changes=nothing)) == [
        "0 of 2 plain passes had delays",
        "0 of 2 patched passes had delays",
    ]


def other(token: int, prompt: int = 1) -> list[dict[str, Any]]:
    """The calls of a pass in which the last token of a prompt is another."""
    calls: list[dict[str, Any]] = make_pass()["calls"]
    calls[0]["outputs"][prompt] = {**calls[0]["outputs"][prompt], "token_ids": [5, 6, token]}
    return calls


@pytest.mark.parametrize(
    ("where", "change", "said"),
    [
        (
            ("patched", 3),
            {"calls": other(8)},
            "repeat 3 with delays: prompt 1 sample 0 of call 0: token 2 is 8, and was 7 (1 of 3 repeats differ)",
        ),
        (
            ("patched", 2),
            {"counters": COUNTERS | {"score": 0.3}},
            "repeat 2 with delays: score is 0.3, and was 0.30000000000000004 (1 of 3 repeats differ)",
        ),
        (("patched", 2), {"counters": {}}, "repeat 2 with delays: decode rows is None, and was 9"),
        (("patched", 1), {"calls": other(8)}, "repeat 1 without delays: prompt 1 sample 0 of call 0: token 2 is 8"),
        (("plain", 3), {"calls": other(8)}, "plain vLLM, repeat 3 with delays: prompt 1 sample 0 of call 0: token 2"),
        (
            ("patched", 3),
            {"calls": []},
            "repeat 3 with delays: prompt 0 sample 0 of call 0: token 0 is None, and was 5",
        ),
        (("patched", 3), {"install": 1}, "3 of 4 patched passes with tokens to compare"),
        (("patched", 0), {"generated_tokens": 0}, "4 of 4 patched passes with tokens to compare"),
    ],
)
def test_same_again_is_red_for_one_other_token_or_bit(where: Any, change: dict[str, Any], said: str) -> None:
    (reason,) = reasons(late_run("same_again", changes={where: change}))
    assert reason.startswith(said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cuda_only": ""}, "delays: a CPU has one stream"),
        ({"repeat": 2}, "delays: the first 2 of its `repeat` have none"),
        ({"watch": ["poison"]}, "delays: a part with them has no checks, client, faults or watch"),
        ({"faults": ["norm_swapped"]}, "delays: a part with them has no checks, client, faults or watch"),
    ],
)
def test_a_part_whose_delays_could_show_nothing_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(PatchkitError, match=re.escape(said)):
        make_part("same_again", **LATE | change)


def test_delayed_needs_delays() -> None:
    with pytest.raises(PatchkitError, match="delayed needs `delays: true`"):
        make_part("delayed")


def test_the_gate_of_this_project_compares_what_was_delayed() -> None:
    project = find_project(Path(__file__).parent)
    for part in load_scenarios(project, "esamp")["streams"].parts:
        assert {"delayed", "same_again"} <= {one.name for one, _ in part.judged}
