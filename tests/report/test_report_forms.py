"""What each form says of green, red and missed."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree as ET

import pytest
from made_evidence import evidence_of, red
from rich.console import Console

from patchkit.gates.evidence import Evidence
from patchkit.report import github, junit, markdown, phrases, terminal
from patchkit.report.cases import of_gates


def shown(evidence: Evidence) -> str:
    file = io.StringIO()
    terminal.show(evidence, Console(file=file))
    return file.getvalue()


def test_text_gives_the_verdict_first(all_green: Evidence, one_red: Evidence) -> None:
    assert shown(all_green).splitlines()[0] == "2 of 2 gates green"
    assert shown(one_red).splitlines()[0] == "1 of 2 gates green; red: decode_shrink"


def test_text_has_figures_and_circumstances(all_green: Evidence) -> None:
    output = shown(all_green)
    for part in ("decode_rows 7,675", "loss 0.1235", "missing unknown", "patchkit gate --vllm 0.20.0", "torch 2.11.0"):
        assert part in output


def test_text_says_why_where_and_what_it_resembles(one_red: Evidence) -> None:
    output = " ".join(shown(one_red).split())
    assert "IndexError | rows <past> the *tensor*" in output
    assert "step 17" in output
    assert "drift 7" in output


def test_the_place_is_not_said_twice() -> None:
    verdict = red("decode_shrink", "drain: IndexError, at step 17 of call 0 (8 requests)")
    assert phrases.explained(verdict).count("step 17") == 1


def test_text_shows_the_matrix(knocked_out: Evidence) -> None:
    rows = {line.split()[0]: line.split()[1:] for line in shown(knocked_out).splitlines() if line.strip()}
    assert rows["nothing"] == ["✓", "✓"]
    assert rows["0005-Learn-ids"] == ["[✗]", "✓", "caught"]
    assert rows["0007-Clear-the-tail"] == ["·", "[✓]", "not", "caught"]
    assert "1 of 2 patches caught; not caught: 0007" in shown(knocked_out)


def test_a_terminal_gets_colours(one_red: Evidence) -> None:
    file = io.StringIO()
    terminal.show(one_red, Console(file=file, force_terminal=True, width=100))
    assert "\x1b[" in file.getvalue()


def test_markdown_is_a_whole_table(one_red: Evidence) -> None:
    lines = markdown.render(one_red).splitlines()
    rows = [re.split(r"(?<!\\)\|", line) for line in lines if re.match(r"\| [✓✗] ", line)]
    assert len(rows) == 2
    assert {len(row) for row in rows} == {6}
    assert lines[0].startswith("## ✗ ")


def test_markdown_escapes_what_it_did_not_write(one_red: Evidence) -> None:
    assert r"\| rows \<past\> the \*tensor\*" in markdown.render(one_red)


def test_markdown_shows_every_knock_out(knocked_out: Evidence) -> None:
    output = markdown.render(knocked_out)
    assert "0005-Learn-ids: identity went red: rows belong to no request" in output.replace("\\", "")
    assert "0007-Clear-the-tail: not caught: decode_shrink is green" in output.replace("\\", "")
    assert output.count("<details>") == output.count("</details>")


def test_junit_counts_and_explains(one_red: Evidence) -> None:
    root = ET.fromstring(junit.render(of_gates(one_red)).encode())
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    cases = {case.get("name"): case.find("failure") for case in suite.iter("testcase")}
    assert cases["identity"] is None
    failure = cases["decode_shrink"]
    assert failure is not None
    assert "IndexError" in failure.get("message", "")
    assert "last" in (failure.text or "")
    assert failure.text and "\x00" not in failure.text


def test_junit_has_a_suite_for_knock_outs(knocked_out: Evidence) -> None:
    gates, knockouts = ET.fromstring(junit.render(of_gates(knocked_out)).encode())
    assert gates.get("failures") == "0"
    assert [(case.get("name"), len(case)) for case in knockouts.iter("testcase")] == [
        ("0005-Learn-ids", 0),
        ("0007-Clear-the-tail", 1),
    ]


def test_github_gets_one_line_for_everything_red(one_red: Evidence, knocked_out: Evidence) -> None:
    first, last = github.render(of_gates(one_red)).splitlines()
    assert first.startswith("::error title=decode_shrink on vLLM 0.20.0%2C cpu::")
    assert "100%25" in first
    assert last.endswith("1 of 2 gates green; red: decode_shrink")
    assert "::error title=without 0007-Clear-the-tail" in github.render(of_gates(knocked_out))


def test_github_notices_green(all_green: Evidence) -> None:
    (line,) = github.render(of_gates(all_green)).splitlines()
    assert line.startswith("::notice title=gate%3A esamp")


@pytest.mark.parametrize("hostile", ["a\n::error::b", "a\r::error::b"])
def test_github_lets_nothing_out_of_its_line(hostile: str) -> None:
    output = github.render(of_gates(evidence_of("gate", [red("identity", hostile)])))
    assert sum(line.startswith("::") for line in output.splitlines()) == len(output.splitlines()) == 2
