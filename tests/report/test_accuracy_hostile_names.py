"""Names from outside that would steer a browser, a terminal or Markdown."""

from __future__ import annotations

import re
from html import unescape
from xml.etree import ElementTree as ET

import made_accuracy as made
from accuracy_words import Page, names, shown

from patchkit.bench.accuracy_evidence import AccuracyEvidence
from patchkit.evals.probe_figures import seen
from patchkit.evals.records import RequiredFigure
from patchkit.report.accuracy import render_html, render_markdown

HOSTILE = "</title><script>alert(1)</script>\"'|`*_\x1b[31m\u202e{{ 7*7 }}&"


def hostile(evidence: AccuracyEvidence) -> AccuracyEvidence:
    """The same with every name and message of somebody else's making."""
    cell = evidence.cells[0]
    cell.model, cell.task, cell.about, cell.sandbox = HOSTILE, f"t{HOSTILE}", f"a{HOSTILE}", f"s{HOSTILE}"
    cell.problems = [f"{HOSTILE}{place}" for place in range(len(cell.problems))]
    cell.sampling = {HOSTILE: HOSTILE}
    for trials in cell.modes.values():
        for trial in trials:
            trial.why = {HOSTILE: 3}
            trial.counters = {HOSTILE: 1.0}
    for judgement in cell.judgements:
        judgement.why, judgement.because = HOSTILE, [HOSTILE]
    cell.figures = [RequiredFigure(HOSTILE, 0.0, HOSTILE, HOSTILE)]
    cell.settings = {"esamp": {HOSTILE: HOSTILE}}
    cell.modes["esamp"][0].observed = [{HOSTILE: HOSTILE}, {HOSTILE: 1}]
    for judgement in cell.judgements:
        judgement.seen = seen(cell, judgement.mode)
    evidence.unproven = evidence.command = evidence.gates = HOSTILE
    return evidence


def test_the_page_takes_nothing_for_markup() -> None:
    html = render_html(hostile(made.evidence(made.by_hand())))
    page = Page(html)
    assert page.open == []
    assert "script" not in names(page)
    assert not {"\x1b", "\u202e"} & set(html)
    assert "{{ 7*7 }}" in unescape(html)
    for picture in re.findall(r"<svg.*?</svg>", html, re.S):
        ET.fromstring(picture)


def test_markdown_takes_nothing_for_markup() -> None:
    output = render_markdown(hostile(made.evidence(made.by_hand())))
    read = "\n".join(line for line in output.splitlines() if not line.startswith("    "))  # the rest is code
    assert not re.search(r"(?<!\\)<(?!/?details>|/?summary>)", read)
    assert all("\\" not in line for line in read.splitlines() if line.startswith("<"))  # HTML knows no backslash
    for table in re.findall(r"(?:^\|.*\n)+", output, re.M):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1, table


def test_the_terminal_is_not_steered() -> None:
    assert not {"\x1b", "\u202e"} & set(shown(hostile(made.evidence(made.by_hand()))))
