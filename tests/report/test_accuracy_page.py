"""The page of an accuracy report: whole, accessible, and with everything that only it has."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import made_accuracy as made
import msgspec
import pytest
from accuracy_words import MINUS, Page, names, words_of_page

from patchkit.bench.accuracy_evidence import AccuracyEvidence
from patchkit.evals.records import BASELINE, Rate
from patchkit.report.accuracy import render_html


def test_saturated_does_not_mean_that_nothing_moves() -> None:
    legend = words_of_page(made.evidence(made.by_hand())).split("How to read it")[2].split("The matrix")[0]
    assert "nothing moves" not in legend.lower()
    assert "a search has no room for a gain, though pass@1 may rise" in legend


def test_the_page_is_well_formed_and_whole(usual: AccuracyEvidence) -> None:
    page = Page(render_html(usual))
    assert page.open == []
    drawn = re.findall(r"<svg.*?</svg>", render_html(usual), re.S)
    assert len(drawn) > 20
    for picture in drawn:
        assert ET.fromstring(picture).find("title") is not None


@pytest.mark.parametrize("after", [0.0, 0.50, 0.51, 0.52, 1.0])
@pytest.mark.parametrize("before", [0.0, 0.51, 1.0])
def test_names_of_curves_have_room(before: float, after: float) -> None:
    cell = made.by_hand()
    for mode, value in ((BASELINE, before), ("esamp", after)):
        cell.curves[mode] = [Rate(k=k, value=value, low=0.0, high=1.0) for k in (1, 4)]
    (drawn,) = re.findall(r'<svg class="curves".*?</svg>|<svg[^>]*viewBox.*?</svg>', render_html(made.evidence(cell)))
    picture = ET.fromstring(drawn)
    height = float(picture.attrib["viewBox"].split()[3])
    high, low = sorted(float(text.attrib["y"]) for text in picture.iter("text") if "end" in text.get("class", ""))
    assert low - high >= 40
    assert high > 15
    assert low < height - 40


def test_a_problem_that_was_gained_or_lost_is_seen_at_once() -> None:
    """However little it moved, beside many that moved more."""
    cell = made.cell("humaneval", count=164, n=16, trials=1, names="HumanEval/{number}", lift=0.3, seed=5)
    seen = render_html(made.evidence(cell)).split("more problems that moved")[0].split("Problem by problem")[1]
    (solved,) = cell.judgements[0].solved
    assert solved.gained
    for problem in (*solved.gained, *solved.lost):
        assert f'title="{problem}"' in seen


def test_the_page_asks_for_nothing(usual: AccuracyEvidence) -> None:
    html = render_html(usual)
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "object"} & set(names(page))
    for _, attributes in page.tags:
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith("#")
    assert "http" not in html
    assert not re.search(r"url\(|@import", html)


def test_links_and_labels_lead_somewhere(usual: AccuracyEvidence) -> None:
    page = Page(render_html(usual))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        wanted = (attributes.get("href") or "").removeprefix("#").split()
        assert {*wanted, *(attributes.get("aria-labelledby") or "").split()} <= set(ids)


def test_headings_go_down_one_at_a_time(usual: AccuracyEvidence) -> None:
    levels = [int(tag[1]) for tag in names(Page(render_html(usual))) if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))


def test_outcomes_are_defined_before_any_figure() -> None:
    output = words_of_page(made.evidence(made.by_hand()))
    assert output.index("pass@n falls, or pass@1 falls") < output.index("31.1%")


def test_contents_lead_to_every_section_and_cell(usual: AccuracyEvidence) -> None:
    (contents,) = re.findall(r'(?s)<nav class="toc".*?</nav>', render_html(usual))
    assert re.findall('href="#([^"]+)"', contents) == [
        *("outcomes", "matrix", "cells", "cell-1", "cell-2", "trust", "circumstances")
    ]


def test_small_intervals_have_a_scale(usual: AccuracyEvidence) -> None:
    matrix = render_html(usual).split('<table class="matrix">')[1].split("</table>")[0]
    assert matrix.count('class="fluid axis"') == matrix.count('class="fluid forest"') == 4


def test_each_trial_has_its_seed() -> None:
    assert "0 in trial 1, 1 in trial 2" in words_of_page(made.evidence(made.by_hand()))


@pytest.mark.parametrize(
    ("low", "p", "said"),
    [
        (-0.021, 0.0152, "pass@1: the interval holds 0 although p = 0.015."),
        (0.001, 0.07, "pass@1: the interval leaves 0 out although p = 0.070."),
        (-0.021, 0.4, ""),
        (0.001, 0.01, ""),
    ],
)
def test_an_interval_and_a_p_that_disagree_are_explained(low: float, p: float, said: str) -> None:
    cell = made.by_hand()
    first = cell.judgements[0].changes[0]
    cell.judgements[0].changes[0] = msgspec.structs.replace(first, low=low, p=p)
    output = words_of_page(made.evidence(cell))
    assert said in output
    assert ("Resolved is only what both say, so this is not." in output) is bool(said)


def test_figures_have_one_kind_of_minus() -> None:
    cell = made.cell("sums", count=30, n=4, lift=-0.3, names="p{number}")
    cell.engine, cell.modes["esamp"][0].counters = {"top_k": -1}, {"loss": -0.5, "small": 1e-9}
    output = words_of_page(made.evidence(cell))
    assert f"top_k {MINUS}1" in output and f"1e{MINUS}09" in output and f"{MINUS}0.5" in output
    assert not re.search(r"(?<![\w.-])-\d", output.split("To run it again")[0].replace("2026-11-2", ""))


def test_saturated_says_of_what(usual: AccuracyEvidence) -> None:
    assert "pass@4 of baseline is 51.1%" in words_of_page(made.evidence(made.by_hand("saturated")))
    assert "of baseline is" not in words_of_page(made.evidence(made.by_hand()))
