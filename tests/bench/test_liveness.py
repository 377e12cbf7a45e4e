"""A runtime that was not at work is distinguished from one that was, by what the worker counted itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from patchkit.bench.liveness import RequiredCounters, check_liveness, merge_counters
from patchkit.bench.shards import DrawError
from patchkit.bench.workspace_source import required_counters
from patchkit.errors import PatchkitError
from patchkit.gates.events import Drawn, Progress
from patchkit.series.manifest import Counter, Manifest, Upstream

COUNTERS = {
    "acted": "decode_rows",
    "trained": "decode_steps",
    "astray": "zero",
    "moved": "positive",
    "figure": "any",
}
GOOD: dict[str, Any] = {"acted": 100, "trained": 20, "astray": 0, "moved": 9, "figure": 0.5}
REQUIRED = RequiredCounters(COUNTERS)


def drawn(decode_rows: int, tokens: int, steps: int = 20) -> Drawn:
    return Drawn("r", seconds=1.0, tokens=tokens, decode_rows=decode_rows, decode_steps=steps)


def beat(decode_rows: int, tokens: int, steps: int = 20) -> Progress:
    counts: dict[str, Any] = {"begun": 5, "finished": 0, "unfinished": 5, "decode_steps": steps}
    return Progress("r", seconds=1.0, tokens=tokens, decode_rows=decode_rows, **counts)


def test_at_work() -> None:
    check_liveness(GOOD, drawn(100, 110), 10, REQUIRED)
    check_liveness(GOOD, drawn(109, 119, 21), 10, REQUIRED)  # a step under way
    check_liveness(
        {**GOOD, "moved": 0}, drawn(100, 110), 10, RequiredCounters(COUNTERS, idle=True)
    )  # set to change nothing
    check_liveness({**GOOD, "acted": 0, "trained": 0, "moved": 0}, beat(3, 8, 1), 5, REQUIRED)  # it has hardly begun
    check_liveness(
        {**GOOD, "acted": 0, "trained": 0, "moved": 0}, drawn(0, 10, 0), 10, REQUIRED
    )  # answers of one token
    check_liveness(
        GOOD, drawn(100, 500), 10, REQUIRED
    )  # preempted again and again: what is recomputed is no decode row
    check_liveness(
        {**GOOD, "figure": float("nan"), "acted": 0, "trained": 0}, drawn(0, 10, 0), 10, REQUIRED
    )  # of nothing
    check_liveness({**GOOD, "figure": None}, drawn(100, 110), 10, REQUIRED)  # nothing is asked of it


@pytest.mark.parametrize(
    ("counters", "said", "reason"),
    [
        ({"acted": 0}, drawn(100, 110), "acted is 0 of 100 decode rows"),
        ({"acted": 50}, drawn(100, 110), "acted is 50 of 100 decode rows"),
        ({"acted": 200}, drawn(100, 110), "acted is 200 of 100 decode rows"),
        ({"acted": 0}, drawn(3, 13), "acted is 0 of 3 decode rows"),
        ({"acted": 0}, beat(40, 45), "acted is 0 of 40 decode rows"),
        ({"acted": None}, drawn(100, 110), "it did not count acted"),
        ({"trained": 5}, drawn(100, 110), "trained is 5 of 20 steps with decode rows"),
        ({"trained": 0, "acted": 2}, drawn(2, 12, 2), "trained is 0 of 2 steps with decode rows"),
        ({"trained": 40}, beat(100, 110), "trained is 40 of 20 steps"),
        ({"astray": 2}, drawn(100, 110), "astray is 2 and must be 0"),
        ({"moved": 0}, drawn(100, 110), "moved is 0"),
        ({"figure": float("nan")}, drawn(100, 110), "figure is nan"),
        ({"acted": 0}, drawn(0, 110), "no decode row was seen in 110 tokens"),
        ({"acted": 0, "astray": 1}, drawn(100, 110), "acted is 0 of 100 decode rows, astray is 1 and must be 0"),
    ],
)
def test_not_at_work(counters: dict[str, Any], said: Drawn | Progress, reason: str) -> None:
    with pytest.raises(DrawError, match=f"the runtime was not at work: .*{reason}"):
        check_liveness({**GOOD, **counters}, said, 5 if isinstance(said, Progress) else 10, REQUIRED)


def manifest(off: dict[str, Any] | None = None, **must_be: Any) -> Manifest:
    counters = {name: Counter(kind, "") for name, kind in must_be.items()}
    about: dict[str, Any] = {"name": "r", "package": "r", "upstream": Upstream(), "developed_on": "1"}
    return Manifest(**about, start="r:i", defaults={"a": 1}, off=off, counters=counters, folder=Path("r"))


def test_what_a_runtime_owes_follows_from_its_manifest() -> None:
    found = required_counters(manifest({"force": 0.0}, acted="decode_rows", other="any"), {"force": 0.5})
    assert (found.counters, found.idle) == ({"acted": "decode_rows", "other": "any"}, False)
    assert required_counters(manifest({"force": 0.0}, acted="decode_rows"), {"force": 0}).idle
    assert not required_counters(manifest({"force": 0.0}, acted="decode_rows"), {}).idle
    assert required_counters(manifest({"a": 1}, acted="decode_steps"), {}).idle, "its defaults are off"
    assert not required_counters(manifest(None, acted="decode_rows"), {}).idle


def test_a_runtime_that_could_be_dead_unseen_is_refused() -> None:
    with pytest.raises(
        PatchkitError, match=r"r has no counter that must be .*declare one under `counters` in r/runtime"
    ):
        required_counters(manifest({}, lost="zero", figure="any"), {})


def test_counters_of_several_processes() -> None:
    parts: list[dict[str, Any]] = [
        {"rows": 5, "steady": False, "figure": 3.0},
        {"rows": None, "steady": None, "figure": None},
        {"rows": 7, "steady": True, "figure": 2.0},
    ]
    assert merge_counters(parts) == {"rows": 12, "steady": False, "figure": 2.0}
    assert merge_counters(reversed(parts)) == {"rows": 12, "steady": False, "figure": 3.0}
    assert merge_counters([]) == {}
