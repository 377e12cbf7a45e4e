"""``patchkit report`` on evidence of pass@k."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_accuracy import cell, evidence

from patchkit.cli import main
from patchkit.gates.evidence import write_evidence

EVIDENCE = Path(__file__).resolve().parents[2] / "evidence"


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    path = tmp_path / "ours.json"
    write_evidence(path, evidence(cell(count=12, n=4)))
    return path


def report(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["patchkit", "report", *map(str, words)])
    with pytest.raises(SystemExit) as done:
        main()
    return int(done.value.code or 0), *capsys.readouterr()


def test_every_form_says_the_outcome(
    ours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "deep" / "page.html"
    for words in ((), ("--format", "markdown")):
        code, said, _ = report(capsys, monkeypatch, ours, *words)
        assert code == 0 and "not resolved" in said
    code, said, _ = report(capsys, monkeypatch, ours, "--format", "table")
    assert code == 0 and said.startswith("| task | pass@1 |") and "not resolved" in said
    assert report(capsys, monkeypatch, ours, "--html", page)[:2] == (0, "")
    assert "not resolved" in page.read_text()


def test_a_published_table_is_no_evidence_of_ours(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said, complaint = report(capsys, monkeypatch, EVIDENCE / "published-field-note.json")
    assert (code, said) == (2, "") and complaint.count("\n") == 1


@pytest.mark.parametrize("form", ["junit", "github"])
def test_pass_at_k_is_neither_red_nor_green(
    ours: Path, form: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, complaint = report(capsys, monkeypatch, ours, "--format", form)
    assert code == 2 and "choose text or markdown" in complaint


def test_only_our_own_pass_at_k_has_a_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, complaint = report(capsys, monkeypatch, EVIDENCE / "gate-0.20.0-cpu.json", "--format", "table")
    assert code == 2 and "no form table" in complaint and complaint.count("\n") == 1


def test_gates_have_no_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "x.html"
    code, _, complaint = report(capsys, monkeypatch, EVIDENCE / "gate-0.20.0-cpu.json", "--html", page)
    assert code == 2 and "has no page of its own" in complaint and "--html DIR" in complaint
    assert not page.exists()
