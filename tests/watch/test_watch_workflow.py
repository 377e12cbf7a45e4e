"""``.github/workflows/new-vllm.yml``: nothing in it reads as green by mistake; its steps, run on a made-up ``gh``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from patchkit.report.watch import markdown
from patchkit.watch.report import to_json
from patchkit.watch.tick import NewRelease, Tick

FILE = Path(__file__).parents[2] / ".github" / "workflows" / "new-vllm.yml"
WORKFLOW: dict[Any, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
JOBS: dict[str, Any] = WORKFLOW["jobs"]
TRIGGERS: dict[str, Any] = WORKFLOW[True]  # YAML 1.1 takes `on` for a truth value
GH = """#!/bin/bash
echo "$*" >> "$LOG"
[ "$1 $2" != "issue list" ] || cat "$ISSUES"
"""


def steps(job: str) -> dict[str, Any]:
    return {step.get("name", step.get("uses")): step for step in JOBS[job]["steps"]}


def test_it_runs_every_six_hours_and_by_hand_on_any_runner() -> None:
    assert TRIGGERS["schedule"] == [{"cron": "41 */6 * * *"}]
    inputs = TRIGGERS["workflow_dispatch"]["inputs"]
    assert inputs["runner"]["default"] == "ubuntu-latest"
    assert not any(one.get("required") for one in inputs.values())
    assert JOBS["tick"]["runs-on"] == "${{ inputs.runner || 'ubuntu-latest' }}"


def test_nothing_in_it_hides_a_failure() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert "continue-on-error" not in text and "|| true" not in text
    assert WORKFLOW["defaults"]["run"]["shell"] == "bash", "or a pipe's first failure would be lost"
    assert WORKFLOW["concurrency"]["cancel-in-progress"] is False
    assert all(job["timeout-minutes"] for job in JOBS.values())
    watch = steps("tick")["Watch"]
    assert watch["timeout-minutes"] < JOBS["tick"]["timeout-minutes"], "time is left to keep the report"
    assert "exec ./go watch" in watch["run"], "or a cancelled job's signal would not reach it"


def test_the_report_is_published_and_judged_whatever_happened() -> None:
    tick = steps("tick")
    keep = tick["Keep the report"]
    assert (keep["if"], keep["with"]["if-no-files-found"]) == ("always()", "error")
    assert tick["No report, or an unfinished one, is a failure"]["if"] == "always()"
    assert JOBS["notify"]["if"] == "always()" and JOBS["notify"]["needs"] == "tick"
    assert steps("notify")["An unfinished tick is a failure"]["if"] == "always()"


def test_what_runs_a_new_vllm_can_only_read() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert JOBS["tick"]["permissions"] == {"contents": "read"}
    assert steps("tick")["actions/checkout@v4"]["with"]["persist-credentials"] is False
    assert "github.token" not in json.dumps(JOBS["tick"])
    assert JOBS["notify"]["permissions"] == {"issues": "write"}
    assert JOBS["pin"]["permissions"] == {"contents": "write", "pull-requests": "write"}
    for job in ("notify", "pin"):
        assert JOBS[job]["runs-on"] == "ubuntu-latest"
        assert "patchkit watch" not in json.dumps(JOBS[job]) and "./go watch" not in json.dumps(JOBS[job])


def test_the_pin_moves_only_by_what_is_proven() -> None:
    condition = JOBS["pin"]["if"]
    assert "needs.tick.outputs.proven != ''" in condition
    assert "needs.tick.outputs.state != 'unfinished'" in condition
    assert "patchkit.watch.promotion watch" in steps("pin")["A pull request with this change alone"]["run"]


def test_the_mark_is_the_reports_own() -> None:
    assert WORKFLOW["env"]["MARK"] == f"{markdown.MARK} esamp -->"


def run_step(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", **variables}
    words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.skipif(not shutil.which("jq"), reason="GitHub's runners have jq, this machine has not")
class TestTelling:
    """The step that keeps the issue."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "gh").write_text(GH)
        (tmp_path / "bin" / "gh").chmod(0o755)
        (tmp_path / "watch").mkdir()
        return tmp_path

    def publish(self, place: Path, tick: Tick, issues: list[dict[str, Any]] | None) -> tuple[int, list[str]]:
        """Run it; returns the exit code and what ``gh`` was called with, after the list. No issues: ``gh`` fails."""
        (place / "watch" / "report.json").write_text(to_json(tick.report()))
        (place / "issues.json").unlink(missing_ok=True)
        if issues is not None:
            (place / "issues.json").write_text(json.dumps(issues))
        (place / "log").unlink(missing_ok=True)
        script = next(step["run"] for name, step in steps("notify").items() if name.startswith("One issue"))
        variables = {"LOG": str(place / "log"), "ISSUES": str(place / "issues.json"), **WORKFLOW["env"]}
        code = run_step(script, place, **variables).returncode
        return code, (place / "log").read_text().splitlines()[1:]

    def tick(self, *outcomes: str) -> Tick:
        tick = Tick("esamp", "cpu", last_proven="0.20.2")
        tick.news = [NewRelease(f"0.2{at}.0", outcome=outcome) for at, outcome in enumerate(outcomes, 1)]  # type: ignore[arg-type]
        tick.finish()
        return tick

    def issue(self, tick: Tick, state: str = "OPEN") -> dict[str, Any]:
        return {"number": 7, "state": state, "body": markdown.render(tick)}

    def test_it_is_opened_once_and_left_alone_while_nothing_changes(self, place: Path) -> None:
        tick = self.tick("unproven")
        code, called = self.publish(place, tick, [{"number": 3, "state": "OPEN", "body": "another"}])
        assert code == 0 and [words.split()[:2] for words in called] == [["label", "create"], ["issue", "create"]]
        assert "vLLM 0.21.0 is out: 1 unproven (esamp)" in called[1]
        assert self.publish(place, tick, [self.issue(tick)]) == (0, [])
        assert self.publish(place, tick, [self.issue(tick, "CLOSED")]) == (0, []), "a person closed it"

    def test_it_follows_what_changed(self, place: Path) -> None:
        before, after, green = self.tick("unproven"), self.tick("unproven", "red"), self.tick("proven")
        code, called = self.publish(place, after, [self.issue(before, "CLOSED")])
        assert code == 0 and [words.split()[:3] for words in called] == [
            ["issue", "edit", "7"],
            ["issue", "reopen", "7"],
        ]
        code, called = self.publish(place, green, [self.issue(after)])
        assert code == 0 and [words.split()[:3] for words in called] == [
            ["issue", "edit", "7"],
            ["issue", "close", "7"],
        ]
        assert self.publish(place, green, []) == (0, []), "nothing to say, and no issue to say it in"

    def test_an_unfinished_tick_is_told_and_fails(self, place: Path) -> None:
        tick = Tick("esamp", "cpu")
        code, called = self.publish(place, tick, [])
        assert code == 0 and "did not finish" in called[-1]
        last = steps("notify")["An unfinished tick is a failure"]["run"]
        assert run_step(last, place).returncode != 0
        self.publish(place, self.tick("red"), [])
        assert run_step(last, place).returncode == 0

    def test_no_second_issue_where_github_does_not_answer_and_none_without_a_report(self, place: Path) -> None:
        code, called = self.publish(place, self.tick("red"), None)
        assert code != 0 and called == []
        (place / "watch" / "report.json").unlink()
        script = next(step["run"] for name, step in steps("notify").items() if name.startswith("One issue"))
        assert run_step(script, place, LOG=str(place / "log"), **WORKFLOW["env"]).returncode != 0
        assert run_step(steps("notify")["An unfinished tick is a failure"]["run"], place).returncode != 0


def test_a_tick_without_a_finished_report_fails(tmp_path: Path) -> None:
    script = steps("tick")["No report, or an unfinished one, is a failure"]["run"]
    summary = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    assert run_step(script, tmp_path, **summary).returncode != 0
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "report.md").write_text("unfinished")
    for state, code in (("unfinished", 1), ("attention", 0), ("green", 0)):
        (tmp_path / "watch" / "report.json").write_text(json.dumps({"state": state}))
        assert run_step(script, tmp_path, **summary).returncode == code
    assert (tmp_path / "summary").read_text() == "unfinished"
