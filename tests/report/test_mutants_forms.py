"""What each form says of mutants."""

from __future__ import annotations

import io
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from patchkit import cli
from patchkit.errors import PatchkitError
from patchkit.gates.evidence import Hardware, RuntimeUsed, Versions, to_json, write_evidence
from patchkit.gates.mutants_evidence import GateRun, MutantRun, MutantsEvidence, read_mutants_evidence, score
from patchkit.report import github, junit
from patchkit.report.mutants.cases import of_mutants
from patchkit.report.mutants.markdown import render
from patchkit.report.mutants.terminal import show_text

SAID = "owners: row <7> | differs by *100%*"


def mutant(number: int, outcome: str, family: str = "rows", reason: str = SAID) -> MutantRun:
    return MutantRun(
        mutant=f"{number:03}-made-up",
        family=family,
        what="Every second row is left out",
        outcome=outcome,  # type: ignore[arg-type]
        by=None if outcome in ("survived", "equivalent") else "identity",
        reason="" if outcome in ("survived", "equivalent") else reason,
        expected="" if outcome == "equivalent" else "identity: row .* differs",
        equivalent="nobody reads it" if outcome == "equivalent" else "",
        seconds=1.25,
        gates=["identity", "learning"],
    )


def evidence_of(*found: MutantRun, control: bool = True) -> MutantsEvidence:
    return MutantsEvidence(
        command="patchkit mutants --vllm 0.20.0",
        began="2026-11-22T10:00:00+00:00",
        seconds=66.1,
        release="0.20.0",
        device="cpu",
        runtime=RuntimeUsed(name="toy", pin="0753033777931d03", patches=["0005-Learn-ids"]),
        versions=Versions(python="3.11.7", torch="2.11.0", vllm="0.20.0"),
        hardware=Hardware(cpu="A CPU", cores=2, memory_gib=23.5),
        score=score(found, 120),
        control=[GateRun(gate="identity", passed=control, reason="" if control else SAID, seconds=1.5)],
        mutants=[*found],
    )


ALL_KILLED = evidence_of(mutant(1, "killed"), mutant(2, "killed", "slot"), mutant(3, "equivalent"))
MIXED = evidence_of(
    mutant(1, "killed"), mutant(2, "misattributed"), mutant(3, "unknown", "slot"), mutant(4, "survived", "stale")
)
RED = evidence_of(control=False)


def shown(evidence: MutantsEvidence) -> str:
    file = io.StringIO()
    show_text(evidence, Console(file=file, width=200))
    return file.getvalue()


def test_text_gives_the_score_and_what_it_is_of() -> None:
    assert shown(ALL_KILLED).splitlines()[:2] == [
        "2 of 2 mutants killed (100 %), 2 as their headers say",
        "3 of 120 run, 1 equivalent one does not count",
    ]
    assert shown(MIXED).splitlines()[:2] == [
        "2 of 4 mutants killed (50 %), 1 as their headers say",
        "survived 1, misattributed 1, unknown 1",
    ]
    assert shown(RED).splitlines()[:2] == ["red without a mutant: identity", "no mutant was judged"]


def test_text_lists_survivors_first_and_families() -> None:
    lines = shown(MIXED).splitlines()
    listed = [line for line in lines if line.startswith("✗")]
    assert [line.split()[1] for line in listed] == ["004-made-up", "002-made-up", "003-made-up"]
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.strip()}
    assert rows["rows"] == ["2", "0", "2", "2", "1", "0", "0"]
    assert rows["all"] == ["4", "0", "4", "2", "1", "1", "1"]
    for part in ("toy 07530337 with 1 patch on vLLM 0.20.0", "patchkit mutants --vllm", "torch 2.11.0"):
        assert part in shown(MIXED)


def test_markdown() -> None:
    output = render(MIXED)
    assert output.startswith("## ✗ mutants: toy 07530337")
    assert render(ALL_KILLED).startswith("## ✓ ")
    assert r"differs by \*100%\*" in output and output.count("<details>") == output.count("</details>") == 3
    widths = {len(re.split(r"(?<!\\)\|", line)) for line in output.splitlines() if line.startswith("| 00")}
    assert widths == {6, 7}
    assert render(RED).count("<details>") == 2


def test_junit() -> None:
    gates, found = ET.fromstring(junit.render(of_mutants(MIXED)).encode())
    assert (gates.get("tests"), gates.get("failures")) == ("1", "0")
    assert (found.get("tests"), found.get("failures")) == ("4", "3")
    assert [len(case) for case in found.iter("testcase")] == [0, 1, 1, 1]
    (only,) = ET.fromstring(junit.render(of_mutants(RED)).encode())
    assert only.get("failures") == "1"


def test_github() -> None:
    lines = github.render(of_mutants(MIXED)).splitlines()
    assert len(lines) == 4 and all(line.startswith("::error title=") for line in lines)
    assert lines[0].startswith("::error title=mutant 004-made-up on vLLM 0.20.0%2C cpu::Every second row is left out: ")
    assert github.render(of_mutants(ALL_KILLED)).startswith("::notice title=mutants%3A toy")
    assert github.render(of_mutants(RED)).splitlines()[0].startswith("::error title=identity on")


@pytest.mark.parametrize("form", ["text", "markdown", "junit", "github"])
@pytest.mark.parametrize(("evidence", "code"), [(ALL_KILLED, 0), (MIXED, 1), (RED, 1)])
def test_the_verb(
    form: str,
    evidence: MutantsEvidence,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "evidence.json"
    write_evidence(path, evidence)
    assert to_json(read_mutants_evidence(path)) == to_json(evidence)
    monkeypatch.setattr("sys.argv", ["patchkit", "report", str(path), "--format", form])
    with pytest.raises(SystemExit) as done:
        cli.main()
    said = capsys.readouterr()
    assert (done.value.code, said.err) == (code, "") and said.out


def test_it_has_no_page_and_garbage_is_a_line(tmp_path: Path) -> None:
    from patchkit.verbs import report

    path = tmp_path / "evidence.json"
    write_evidence(path, ALL_KILLED)
    with pytest.raises(PatchkitError, match="has no page"):
        report.report([path], "text", tmp_path / "page.html")
    path.write_text('{"kind": "mutants"}')
    with pytest.raises(PatchkitError, match="is not patchkit's evidence of mutants"):
        report.report([path], "text")


def test_evidence_of_many_is_small() -> None:
    found = [mutant(number, "misattributed", reason="x" * 600) for number in range(150)]
    assert len(to_json(evidence_of(*found)).encode()) < 1 << 20
