"""The verdicts on a published table, and what is no table."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from published_table import Pair, PublishedCell, read_published
from published_verdict import verdict, verdicts
from published_words import markdown, text

from patchkit.errors import PatchkitError

SATED, HALF = {"before": 1.0, "after": 1.0}, {"before": 0.5, "after": 0.5}
CHECKOUT = Path(__file__).parents[2]
FIELD_NOTE = CHECKOUT / "evidence" / "published-field-note.json"


def cell(**changed: Any) -> PublishedCell:
    figures = {"pass_1": Pair(0.5, 0.5), "pass_n": Pair(0.6, 0.7), "problems": 30, "claim": "c"}
    return PublishedCell(model="m", task="t", **{**figures, **changed})


def test_the_field_note_resolves_nothing() -> None:
    humaneval, instruct, reasoning = verdicts(read_published(FIELD_NOTE))
    assert {one.outcome for one in (humaneval, instruct, reasoning)} == {"not resolved"}
    assert (humaneval.best_1, humaneval.best_n) == (0.25, 1)
    assert (instruct.best_1, instruct.best_n) == (2 / 2**7, 1)
    assert (reasoning.best_1, reasoning.best_n) == (1, 0.5)
    change = reasoning.change
    assert change is not None and change.p == 0.625 and change.direction == 0
    assert (change.before, change.after) == (0.6, pytest.approx(2 / 3))
    assert change.low == pytest.approx(-0.07, abs=0.01) and change.high == pytest.approx(0.20, abs=0.01)
    assert humaneval.change is None and instruct.change is None


def test_it_is_told_in_both_forms() -> None:
    published = read_published(FIELD_NOTE)
    output, table = text(published), markdown(published)
    for form in (output, table):
        assert published.url in form and published.title in form
        assert form.count("not resolved") == 3
        assert "+6.7 points (\N{MINUS SIGN}7.3 to +20.0, p = 0.625): 3 problems gained, 1 lost" in form
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert len(rows) == 5 and len({row.count("|") for row in rows}) == 1


def test_without_figures_it_says_so() -> None:
    found = verdict(cell(pass_1=None, pass_n=None), 8)
    assert (found.outcome, found.why, found.best_n) == ("not resolved", "figures not recovered", None)


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({"gained": 12, "lost": 1, "pass_n": Pair(10 / 30, 21 / 30)}, "trajectory headroom only"),
        ({"gained": 1, "lost": 12, "pass_n": Pair(21 / 30, 10 / 30)}, "harmful"),
        ({"gained": 0, "lost": 0, "pass_n": Pair(1.0, 1.0)}, "saturated"),
        ({"pass_n": Pair(1.0, 1.0)}, "saturated"),
        ({"pass_n": Pair(1.0, 20 / 30)}, "not resolved"),
        ({"pass_n": Pair(10 / 30, 21 / 30)}, "not resolved"),
    ],
)
def test_only_who_moved_resolves(changed: dict[str, Any], outcome: str) -> None:
    assert verdict(cell(**changed), 8).outcome == outcome


def test_a_net_gain_is_spread_over_no_more_than_are_solved() -> None:
    assert verdict(cell(pass_1=Pair(0.1, 0.2), pass_n=Pair(0.2, 0.2)), 8).best_1 == 2 / 2**6
    assert verdict(cell(pass_1=Pair(0.2, 0.1), pass_n=Pair(0.3, 0.2)), 8).best_1 == 2 / 2**9


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"pass_n": {"before": 0.6, "after": 0.65}}, "pass@8 of 0.65 is no share of 30"),
        ({"pass_1": {"before": 1.2, "after": 0.5}}, "pass@1 of 1.2 is no share of 240"),
        ({"gained": 3, "lost": 2}, "3 gained and 2 lost do not make 20 solved problems of 18"),
        ({"pass_n": SATED, "gained": 30, "lost": 30}, "30 gained and 30 lost do not make 30 solved problems of 30"),
        ({"pass_n": SATED, "gained": 0, "lost": -1}, "0 gained and -1 lost do not make"),
        ({"pass_n": SATED, "gained": 1, "lost": 1}, "1 gained and 1 lost do not make 30 solved problems of 30"),
        ({"pass_1": {"before": 0.9, "after": 0.5}, "pass_n": HALF}, "216 right samples cannot be those of 15 problems"),
        ({"pass_1": {"before": 0.05, "after": 0.5}, "pass_n": HALF}, "12 right samples cannot be those of 15 problems"),
        ({"problems": 0}, "0 problems"),
        ({"problems": "many"}, "not a published table"),
    ],
)
def test_figures_that_cannot_be_are_one_line(tmp_path: Path, changed: dict[str, Any], why: str) -> None:
    table = json.loads(FIELD_NOTE.read_text())
    table["cells"][2].update(changed)
    (tmp_path / "table.json").write_text(json.dumps(table))
    with pytest.raises(PatchkitError, match=why):
        read_published(tmp_path / "table.json")


def test_a_file_that_is_none_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(PatchkitError, match="cannot read"):
        read_published(tmp_path / "none.json")
    (tmp_path / "other.json").write_text('{"kind": "gate"}')
    with pytest.raises(PatchkitError, match="not a published table"):
        read_published(tmp_path / "other.json")


def by_command(*words: str) -> subprocess.CompletedProcess[str]:
    """The command that the README advises, as typed there."""
    command = [sys.executable, "benchmarks/published", *words]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)


def test_the_command_of_the_readme() -> None:
    words = ["benchmarks/published", "evidence/published-field-note.json"]
    assert f"`python {' '.join(words)}`" in (CHECKOUT / "README.md").read_text(encoding="utf-8")
    published = read_published(FIELD_NOTE)
    for more, form in (((), text), (("--format", "markdown"), markdown)):
        done = by_command(words[1], *more)
        assert (done.returncode, done.stdout, done.stderr) == (0, form(published), "")


def test_bad_input_of_the_command_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(CHECKOUT / "benchmarks" / "published"))["main"]

    def refused(*words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(words)
        printed = capsys.readouterr()
        assert (ended.value.code, printed.out) == (2, "")
        return printed.err

    said = refused(str(tmp_path / "none.json"))
    assert said.startswith("patchkit: cannot read") and said.count("\n") == 1
    assert "'junit' is not one of 'text', 'markdown'" in refused(str(FIELD_NOTE), "--format", "junit")
