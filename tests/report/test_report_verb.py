"""``patchkit report`` through the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import made_site
import made_throughput
import pytest
from made_evidence import evidence_of

from patchkit.cli import main
from patchkit.drift.drift import read_drifts
from patchkit.gates.evidence import Evidence, to_json
from patchkit.report.drift.cases import of_drifts
from patchkit.report.drift.terminal import remarks

CHECKOUT = Path(__file__).parents[2]


class Printed(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Report = Callable[..., Printed]


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Report:
    """``patchkit report``, without the cost of a process."""

    def run(path: Path, form: str = "text") -> Printed:
        monkeypatch.setattr("sys.argv", ["patchkit", "report", str(path), "--format", form])
        with pytest.raises(SystemExit) as done:
            main()
        return Printed(int(done.value.code or 0), *capsys.readouterr())

    return run


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "evidence.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("form", ["text", "markdown", "junit", "github"])
def test_green_is_0_and_red_is_1_in_every_form(
    report: Report, tmp_path: Path, all_green: Evidence, one_red: Evidence, form: str
) -> None:
    green = report(written(tmp_path, to_json(all_green)), form)
    assert (green.returncode, green.stderr) == (0, "")
    assert "2 of 2 gates green" in green.stdout or ET.fromstring(green.stdout.encode()).tag == "testsuites"
    assert report(written(tmp_path, to_json(one_red)), form).returncode == 1


def test_a_patch_not_caught_is_red(report: Report, tmp_path: Path, knocked_out: Evidence) -> None:
    assert report(written(tmp_path, to_json(knocked_out))).returncode == 1


def test_nothing_judged_is_red(report: Report, tmp_path: Path) -> None:
    found = report(written(tmp_path, to_json(evidence_of("gate", []))))
    assert found.returncode == 1
    assert "nothing was judged" in found.stdout


def test_fields_from_a_later_patchkit_are_left_aside(report: Report, tmp_path: Path, all_green: Evidence) -> None:
    later = to_json(all_green).replace('"kind": "gate",', '"kind": "gate", "invented": {"later": [1]},', 1)
    assert report(written(tmp_path, later)).returncode == 0


@pytest.mark.parametrize(
    "garbage",
    ["", "null", "[]", "{}", "not json", '{"kind": "poem"}', b"\xff\xfe\x00", '{"x":' + "[" * 100_000],
    ids=["empty", "null", "list", "object", "words", "kind", "bytes", "deep"],
)
def test_garbage_is_one_line(report: Report, tmp_path: Path, garbage: str | bytes) -> None:
    found = report(written(tmp_path, garbage))
    assert found.returncode == 2
    assert found.stderr.startswith("patchkit: ")
    assert "is not patchkit's evidence" in found.stderr
    assert found.stderr.count("\n") == 1


def test_evidence_of_another_schema_names_the_field(report: Report, tmp_path: Path, all_green: Evidence) -> None:
    found = report(written(tmp_path, to_json(all_green).replace('"kind": "gate"', '"kind": "poem"')))
    assert found.returncode == 2
    assert "poem" in found.stderr
    assert "$.kind" in found.stderr


def test_a_missing_file_is_one_line(report: Report, tmp_path: Path) -> None:
    found = report(tmp_path / "none.json")
    assert found.returncode == 2
    assert "cannot read" in found.stderr
    assert found.stderr.count("\n") == 1


def test_any_number_of_files_is_a_site(
    tmp_path: Path, all_green: Evidence, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = written(tmp_path, to_json(all_green)), tmp_path / "other.json"
    other.write_bytes(path.read_bytes())
    for words, code in (((path, other), 2), ((path, other, "--html", tmp_path / "site"), 0)):
        monkeypatch.setattr("sys.argv", ["patchkit", "report", *map(str, words)])
        with pytest.raises(SystemExit) as done:
            main()
        assert done.value.code == code
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and "say --html DIR" in said.err
    assert said.out == f"2 evidence files as a site: {tmp_path / 'site' / 'index.html'}\n"
    assert (tmp_path / "site" / "index.html").is_file()


def drift_json(*findings: dict[str, object]) -> dict[str, object]:
    sides = [{"release": release, "origin": "index", "proven": False} for release in ("0.20.0", "0.20.2")]
    return {
        "runtime": "r",
        "pin": "0" * 40,
        "old": sides[0],
        "new": sides[1],
        "patches": [],
        "left": [],
        "findings": list(findings),
        "unpatched": len(findings),  # what `drift --json` adds
    }


GONE = {"kind": "gone", "severity": "loud", "symbol": "vllm.v1.a.B.c", "sentence": "is gone"}


def test_a_drift_is_rendered_as_drift_does(tmp_path: Path, report: Report) -> None:
    printed = report(written(tmp_path, json.dumps(drift_json(GONE))))
    assert (printed.returncode, printed.stderr) == (1, "") and "is gone" in printed.stdout
    printed = report(written(tmp_path, json.dumps([drift_json(GONE), drift_json()])), "markdown")
    assert printed.returncode == 1 and printed.stdout.count("### ") == 2
    printed = report(written(tmp_path, json.dumps([drift_json(), drift_json()])))
    assert printed.returncode == 0 and "2 releases" in printed.stdout


def test_a_break_is_a_test_that_passes_if_a_patch_fixes_it(tmp_path: Path, report: Report) -> None:
    fixed = {**GONE, "symbol": "vllm.v1.a.B.d", "fixed_by": ["0001-A"], "because": "its header names it"}
    silent = {**GONE, "severity": "silent", "symbol": "vllm.v1.a.B.e"}
    path = written(tmp_path, json.dumps([drift_json(GONE, fixed, silent), drift_json()]))
    printed = report(path, "junit")
    one, two = ET.fromstring(printed.stdout.encode())
    assert printed.returncode == 1
    assert [(suite.get("tests"), suite.get("failures")) for suite in (one, two)] == [("3", "2"), ("0", "0")]
    first, second, last = report(path, "github").stdout.splitlines()
    assert first.startswith("::error title=vLLM 0.20.2 breaks silently%2C unpatched::B.e is gone")
    assert second.startswith("::warning title=vLLM 0.20.2 breaks loudly%2C unpatched::B.c is gone")
    assert last.startswith("::error title=drift%3A r 00000000") and last.endswith("2 releases, 2 unpatched")


FORMS = ["text", "markdown", "table", "junit", "github"]


def test_the_table_of_forms_is_that_of_the_verb(tmp_path: Path, report: Report) -> None:
    files = {path.stem: path for path in made_site.everything(tmp_path)}
    kinds = {
        "newer": "`gate`, `knockout`",
        "left_out": "`gate`, `knockout`",
        "wrong": "`mutants`",
        "drifts": "`drift --json`",
        "answers": "`bench accuracy`, `bench matrix`",
        "looked": "`watch`",
        "theirs": "a published table of pass@k",
    }
    assert {*kinds} < {*files}
    files["rates"] = tmp_path / "rates.json"
    files["rates"].write_text(to_json(made_throughput.throughput()), encoding="utf-8")
    kinds["rates"] = "`bench throughput`"
    lines = (Path(__file__).parents[2] / "docs" / "reports.md").read_text(encoding="utf-8").splitlines()
    rows = {cells[1]: cells[2:7] for line in lines if len(cells := [one.strip() for one in line.split("|")]) == 9}
    assert rows["evidence of"] == FORMS and {*kinds.values()} == {*rows} - {"evidence of", "---"}
    for name, kind in kinds.items():
        for form, mark in zip(FORMS, rows[kind], strict=True):
            printed = report(files[name], form)
            assert (printed.returncode < 2) == (mark == "✓"), (name, form)
            assert mark == "✓" or (printed.stdout == "" and printed.stderr.count("\n") == 1), (name, form)


@pytest.mark.parametrize("content", ["[]", '{"findings": []}'])
def test_a_drift_that_is_none_is_one_line(tmp_path: Path, report: Report, content: str) -> None:
    printed = report(written(tmp_path, content))
    assert printed.returncode == 2 and printed.stderr.count("\n") == 1 and "drift" in printed.stderr


def test_the_report_of_a_watch_says_how_it_is_shown(tmp_path: Path, report: Report) -> None:
    printed = report(written(tmp_path, '{"state": "green", "runtime": "r"}'))
    assert printed.returncode == 2 and "--html site" in printed.stderr


def test_what_must_be_known_of_a_drift_is_an_annotation_too() -> None:
    drifts = read_drifts(CHECKOUT / "evidence" / "drift-0.10.1.1-0.33.0.json")
    said = [remark for drift in drifts for remark in remarks(drift)]
    assert any(remark.startswith("no hook fires by default in vLLM") for remark in said)
    assert [text for _, text in of_drifts(drifts).warnings] == said
