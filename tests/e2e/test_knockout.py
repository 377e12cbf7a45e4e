"""Knock-outs on real vLLM 0.20.0 with real weights: every patch is missed."""

from __future__ import annotations

import json
from pathlib import Path

from .conftest import GATES, NAMED, RELEASE, TAKEN, Patchkit


def test_knockout_catches_every_patch_for_the_stated_reason(patchkit: Patchkit, tmp_path: Path) -> None:
    """On the gates that some header names; the workflow's weekly knock-out has all, which are green in test_gated."""
    path = tmp_path / "knockout.json"
    only = [word for gate in GATES if gate in NAMED for word in ("--only", gate)]
    done = patchkit("knockout", "--vllm", RELEASE, *only, "--evidence", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(TAKEN)} of {len(TAKEN)} patches caught" in done.stdout
    rows = {row["patch"][:4]: row for row in json.loads(path.read_text())["knockouts"]}
    assert len(rows) == len(TAKEN) > 0
    assert all(row["caught"] for row in rows.values())
    assert {row["need"] for row in rows.values()} == {"needed"}
    # A stale row index: what every benchmark runs is green, and only draining requests show it.
    assert rows["0007"]["verdicts"]["monotonic_bench"]["passed"]
    assert not rows["0007"]["verdicts"]["decode_shrink"]["passed"]
    assert rows["0004"]["by"] == "monotonic_bench" and "where logits indices are looked for" in rows["0004"]["reason"]
    assert rows["0005"]["by"] == "identity" and "did not register request" in rows["0005"]["reason"]
    # Only the gate of the guards misses them: nothing drifts under the others.
    assert [gate for gate, found in rows["0008"]["verdicts"].items() if not found["passed"]] == ["guards"]
