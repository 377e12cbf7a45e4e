"""Throughput of a real runtime in a real engine: two processes that take turns, and one that refuses is said."""

from __future__ import annotations

import json
from pathlib import Path

from .conftest import RELEASE, Patchkit

COMMON = ("bench", "throughput", "--vllm", RELEASE, "--model", "tiny", "--pairs", "2", "--tokens", "16", "--unproven")


def test_plain_and_the_runtime_take_turns_and_only_what_is_alive_counts(patchkit: Patchkit, tmp_path: Path) -> None:
    place = tmp_path / "e.json"
    more = (
        "--settings",
        "preset=release,shared=true",
        "--settings",
        "preset=none",
        "--profile",
        "--uninstalled",
        "--steps-memory",
        "30",
    )
    done = patchkit(*COMMON, "--loads", "2x4,8x1", *more, "--evidence", str(place))
    found = json.loads(place.read_text())
    first, second, *refused = found["rows"]
    assert done.returncode == 1, done.stderr
    for row, rows in ((first, 8), (second, 8)):
        assert row["standing"] == "alive", row["why"]
        assert [run["tokens"] for run in (*row["plain"]["eager"], *row["patched"])] == [rows * 16] * 4
        assert [run["decode_rows"] for run in row["patched"]] == [rows * 15] * 2
        assert [run["counters"]["decode_rows"] for run in row["patched"]] == [rows * 15] * 2
        assert all("counters" not in run for run in row["plain"]["eager"]), "plain vLLM has no runtime"
        for kind in ("ratio", "uninstalled"):
            assert 0 < row[kind]["low"] <= row[kind]["median"] <= row[kind]["high"]
    assert [row["standing"] for row in refused] == ["error", "error"]
    profile = found["profiles"][0]
    assert profile["plain"]["host"] > 0 and 0 < len(profile["patched"]["rows"]) <= 30
    assert profile["patched"]["streams"] == [] and profile["patched"]["device"] == 0, "a CPU has no streams"
    assert found["memory"][0]["points"][-1]["steps"] >= 30
    assert found["runners_seen"] and found["hardware"]["cores"] >= 1
    assert "alive" in done.stdout and "✗" in done.stdout
