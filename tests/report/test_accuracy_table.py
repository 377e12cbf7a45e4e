"""The table for a README, and that the README has it as the evidence that it names gives it."""

from __future__ import annotations

import re
from pathlib import Path

import made_accuracy as made
import pytest
from test_accuracy_hostile_names import HOSTILE, hostile

from patchkit.bench.accuracy_evidence import read_accuracy
from patchkit.report.accuracy import render_table

CHECKOUT = Path(__file__).resolve().parents[2]
NAMES = ("README.md", "docs/accuracy.md", "docs/results.md")
PAGES = {name: (CHECKOUT / name).read_text(encoding="utf-8") for name in NAMES}
# above each table: where its rows come from
TABLE = re.compile(r"<!-- patchkit report (\S+) --format table -->\n\n((?:\|.*\n)+)")
MARKED = [(page, *found) for page, text in PAGES.items() for found in TABLE.findall(text)]


def test_a_line_has_both_rates_and_what_to_do() -> None:
    cell = made.by_hand("harmful")
    cell.modes["baseline"][0].answers, cell.modes["esamp"][0].answers = [0.5, 0.25], [0.25, None]
    assert render_table(made.evidence(cell)).splitlines() == [
        "| task | pass@1 | pass@4 | breadth | outcome | advice |",
        "| --- | --- | --- | --- | --- | --- |",
        "| sums | 31.1 → 34.7 (\N{MINUS SIGN}1.2 to +8.5) | 51.1 → 54.7 (\N{MINUS SIGN}1.2 to +8.5) | 38 → 25 "
        "| **harmful** | consider it |",
    ]


def test_columns_come_where_there_is_something_to_tell() -> None:
    output = render_table(made.evidence(made.watched(0.25, None), made.cell(model="other", count=4, n=4)))
    head, _, first, second, third = (line.strip("| ").split(" | ") for line in output.splitlines())
    assert head == ["model", "task", "mode", "pass@1", "pass@4", "breadth", "score", "outcome", "advice"]
    assert [line[0] for line in (first, second, third)] == ["SmolLM2-135M", "SmolLM2-135M", "other"]
    assert [line[2] for line in (first, second, third)] == ["m0", "m1", "esamp"]
    assert [line[6] for line in (first, second, third)] == ["0.25", "not known", "not asked for"]


def test_a_baseline_alone_has_a_line() -> None:
    assert "| the baseline alone was measured |" in render_table(made.evidence(made.cell(count=5, n=2, modes=())))
    assert len(render_table(made.evidence()).splitlines()) == 2


def test_names_are_not_taken_for_markup() -> None:
    output = render_table(hostile(made.evidence(made.by_hand())))
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in output.splitlines()}) == 1
    assert HOSTILE not in output and not re.search(r"(?<!\\)<", output)


def test_each_page_names_its_evidence() -> None:
    assert {page for page, *_ in MARKED} == set(PAGES), "above each table: <!-- patchkit report FILE --format table -->"


@pytest.mark.parametrize(("page", "file", "output"), MARKED)
def test_a_page_has_what_the_evidence_gives(page: str, file: str, output: str) -> None:
    assert output == render_table(read_accuracy(CHECKOUT / file)), f"paste: patchkit report {file} --format table"
