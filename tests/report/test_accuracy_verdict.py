"""The sentences of the verdict on an accuracy run."""

from __future__ import annotations

import re

import made_accuracy as made
import msgspec
import pytest
from accuracy_words import shown

from patchkit.evals.number_format import points
from patchkit.evals.records import Change, Judgement, Outcome
from patchkit.report.accuracy import render_html


def changed(direction: int, k: int) -> Change:
    return Change(k=k, before=0.4, after=0.5, difference=0.1, low=0.0, high=0.2, p=0.04, direction=direction)


@pytest.mark.parametrize(
    ("outcome", "first", "last", "sentence"),
    [
        ("token and trajectory headroom", 1, 1, "model on sums: esamp raises pass@1 and pass@4."),
        ("trajectory headroom only", 0, 1, "model on sums: esamp raises pass@4 alone."),
        ("trajectory headroom only", -1, 1, "model on sums: esamp raises pass@4 at a cost in pass@1."),
        ("harmful", -1, 0, "model on sums: esamp lowers pass@1."),
        ("harmful", -1, -1, "model on sums: esamp lowers pass@1 and pass@4."),
        ("harmful", 0, -1, "model on sums: esamp lowers pass@4."),
        ("saturated", 0, 0, "model on sums: esamp has no room to help."),
        ("not resolved", 0, 0, "model on sums: esamp is not shown to help or harm."),
    ],
)
def test_the_first_sentence_follows_the_outcome(outcome: Outcome, first: int, last: int, sentence: str) -> None:
    cell = made.by_hand(outcome)
    cell.judgements[0].changes = [changed(first, 1), changed(last, 4)]
    assert shown(made.evidence(cell)).splitlines()[0] == sentence


@pytest.mark.parametrize(
    ("outcomes", "heading"),
    [
        (["harmful"], "esamp: worse on sums"),
        (["not resolved", "saturated"], "esamp: no difference shown on both tasks"),
        (["harmful", "not resolved", "saturated"], "esamp: worse on 1, no difference shown on 2 of 3 tasks"),
        (["trajectory headroom only", "not resolved"], "esamp: better on 1, no difference shown on 1 of 2 tasks"),
    ],
)
def test_the_heading_is_the_verdict_in_a_line(outcomes: list[Outcome], heading: str) -> None:
    cells = [made.by_hand(outcome) for outcome in outcomes]
    for cell, outcome in zip(cells, outcomes, strict=True):
        cell.judgements[0].changes = [changed(int(outcome == "trajectory headroom only"), k) for k in (1, 4)]
    html = render_html(made.evidence(*cells))
    (found,) = re.findall(r"(?s)<h1>(.*?)</h1>", html)
    assert " ".join(re.sub(r"<[^>]+>", " ", found).split()) == heading
    assert f"<title>{heading}</title>" in html


@pytest.mark.parametrize(
    ("outcomes", "more"), [(["not resolved", "not resolved"], 0), (["harmful", "not resolved"], 1)]
)
def test_a_page_does_not_say_its_heading_twice(outcomes: list[Outcome], more: int) -> None:
    cells = [made.by_hand(outcome) for outcome in outcomes]
    for cell, outcome in zip(cells, outcomes, strict=True):
        cell.judgements[0].changes = [changed(-int(outcome == "harmful"), k) for k in (1, 4)]
    assert render_html(made.evidence(*cells)).count('<p class="whole">') == more


def test_a_difference_that_rounds_to_nothing_has_a_digit_more() -> None:
    assert [points(one) for one in (0.018, -0.0004, 0.0004, 0.00001, 0.0)] == [
        "+1.8",
        "\N{MINUS SIGN}0.04",
        "+0.04",
        "0.0",
        "0.0",
    ]


def test_the_first_sentence_counts_cells() -> None:
    cells = [msgspec.structs.replace(made.by_hand(), task=f"task-{number}") for number in range(4)]
    assert shown(made.evidence(*cells)).startswith("model: esamp is not shown to help or harm on any of 4 tasks.\n")
    judgement: Judgement = made.by_hand("saturated").judgements[0]
    cells[0].judgements = [judgement]
    output = shown(made.evidence(*cells)).splitlines()[0]
    assert "has no room to help on task-0; it is not shown to help or harm on task-1, task-2 and task-3." in output
