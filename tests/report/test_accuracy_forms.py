"""Every form says every verdict with its figures, and believes nothing that it was given."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from typing import get_args
from xml.etree import ElementTree as ET

import made_accuracy as made
import msgspec
import pytest
from rich.console import Console

from patchkit.bench.accuracy_evidence import AccuracyEvidence
from patchkit.evals.probe_figures import seen
from patchkit.evals.records import BASELINE, Change, Judgement, Outcome, Rate, RequiredFigure
from patchkit.report.accuracy import render_html, render_markdown, show_text

MINUS = "\N{MINUS SIGN}"
VOID = {"meta", "br", "link", "img", "input", "hr"}
HOSTILE = "</title><script>alert(1)</script>\"'|`*_\x1b[31m\u202e{{ 7*7 }}&"


def shown(evidence: AccuracyEvidence) -> str:
    file = io.StringIO()
    show_text(evidence, Console(file=file))
    return file.getvalue()


def words_of_page(evidence: AccuracyEvidence) -> str:
    """What a reader of the page reads, its spaces as one each."""
    page = Page(render_html(evidence))
    return " ".join(" ".join(page.text).split())


def words_of_markdown(evidence: AccuracyEvidence) -> str:
    return " ".join(re.sub(r"\\(.)", r"\1", render_markdown(evidence)).split())


def words_of_text(evidence: AccuracyEvidence) -> str:
    return " ".join(shown(evidence).split())


every_form = pytest.mark.parametrize("said", [words_of_page, words_of_markdown, words_of_text])
Said = Callable[[AccuracyEvidence], str]


class Page(HTMLParser):
    """A page taken apart: its text, its tags with their attributes, and whether they close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)


def names(page: Page) -> list[str]:
    return [tag for tag, _ in page.tags]


@pytest.fixture(scope="module")
def usual() -> AccuracyEvidence:
    return made.evidence(
        made.cell(count=12, n=8, trials=2, lift=0.1, seed=3),
        made.cell("humaneval", count=30, n=4, trials=1, names="HumanEval/{number}", seed=4),
    )


@every_form
@pytest.mark.parametrize("outcome", get_args(Outcome))
def test_outcome_and_advice_are_said(said: Said, outcome: Outcome) -> None:
    output = said(made.evidence(made.by_hand(outcome)))
    assert outcome in output
    assert "consider it" in output


@every_form
def test_both_rates_have_difference_interval_and_p(said: Said) -> None:
    output = said(made.evidence(made.by_hand()))
    for rates in ("31.1% → 34.7%", "51.1% → 54.7%"):
        assert rates in output
    assert output.count("+3.6") >= 2
    assert output.count(f"({MINUS}1.2 to +8.5)") >= 2
    assert "p = 0.19" in output


@every_form
def test_moves_throughput_and_sight_are_said(said: Said) -> None:
    output = said(made.evidence(made.by_hand()))
    for figure in (
        f"+0 {MINUS}0",
        f"+1 {MINUS}0",
        "0.78 x (0.63 to 0.88), 2 pairs",
        "45.5 points of pass@1",
        "±7.8 points",
    ):
        assert figure in output


@pytest.mark.parametrize("said", [words_of_page, words_of_markdown])
def test_the_long_forms_have_everything_else(said: Said) -> None:
    output = said(made.evidence(made.by_hand()))
    for part in (
        "this is why",
        "this is the reason",
        "for the +3.6 measured it would take 4,321 problems (there are 2), or 567 samples of each (there are 4)",
        "0.75",  # p of the problems solved
        "wrong",
        "7,675",
        "temperature 0.8",
        "9 of 9 gates green",
        "torch 2.11.0",
        "2 cores of AMD EPYC, 23.5 GiB",
        "878f027b20b2c0ffee",
        "0007-Clear-the-tail",
        "patchkit bench matrix matrix.yaml --vllm 0.20.0",
        "patchkit gate --vllm 0.20.0 --device cpu",
        "no code that a model wrote was run",
        "up to 0.1 would appear so",
    ):
        assert part in output, part


@every_form
def test_unproven_comes_before_any_figure(said: Said) -> None:
    evidence = made.evidence(made.by_hand(), unproven="decode_shrink is red", gates="")
    output = said(evidence)
    assert "decode_shrink is red" in output
    assert output.index("decode_shrink is red") < output.index("31.1%")
    assert "unproven" not in said(made.evidence(made.by_hand())).lower()


@every_form
def test_samples_that_were_not_graded_come_before_any_figure(said: Said) -> None:
    cell = made.by_hand()
    cell.modes["esamp"][0].ungraded, cell.modes["esamp"][1].ungraded = 1200, 34
    output = said(made.evidence(cell))
    sentence = "1,234 samples could not be graded and count as wrong: 1,234 of sums, model, esamp."
    assert sentence in output
    assert output.index(sentence) < output.index("31.1%")
    assert "could not be graded" not in said(made.evidence(made.by_hand()))


@every_form
def test_samples_in_which_nothing_could_be_read_are_told_by_mode(said: Said) -> None:
    cell = made.by_hand()
    for trial, count in zip(cell.modes["baseline"], (2, 1), strict=True):
        trial.unread = count
    output = " ".join(said(made.evidence(cell)).split())
    assert "samples in which no answer could be read" in output
    assert "3 of 16" in output and "not known" in output, "a mode that is not known is not zero"
    for trial in (*cell.modes["baseline"], *cell.modes["esamp"]):
        trial.unread = 0
    assert "no answer could be read" not in said(made.evidence(cell))


def test_saturated_does_not_mean_that_nothing_moves() -> None:
    legend = words_of_page(made.evidence(made.by_hand())).split("How to read it")[2].split("The matrix")[0]
    assert "nothing moves" not in legend.lower()
    assert "a search has no room for a gain, though pass@1 may rise" in legend


@every_form
def test_a_verdict_on_what_was_not_seen_at_work_says_so(said: Said) -> None:
    output = said(made.evidence(made.watched(0.25, -0.5)))
    assert "m1: It had not learnt: such answers test it untrained." in output
    assert "m0: It had not learnt" not in output
    assert f"score {MINUS}0.5 at worst, above 0 in 0 of 4 processes" in output
    assert "score 0.25 at worst, above 0 in 4 of 4 processes" in output


@every_form
def test_what_is_not_known_is_not_met(said: Said) -> None:
    output = said(made.evidence(made.watched(None)))
    assert "m0: score is not known, and what is not known is not met. It had not learnt: such answers" in output
    assert "score is not known, in 4 processes" in output


@every_form
def test_cells_that_were_not_seen_at_work_are_named(said: Said) -> None:
    cells = [msgspec.structs.replace(made.watched(score), task=f"t{score:g}") for score in (0.5, -1.0, 0.25)]
    output = said(made.evidence(*cells))
    assert "m0 on t-1: It had not learnt: such answers test it untrained." in output


@pytest.mark.parametrize("said", [words_of_page, words_of_markdown])
def test_modes_with_settings_of_their_own_say_them(said: Said) -> None:
    output = said(made.evidence(made.watched(0.5, 0.5, named=True)))
    assert output.count("preset pm0") >= 2 and output.count("preset pm1") >= 2
    assert "given to m0" in output


@pytest.mark.parametrize("said", [words_of_page, words_of_markdown])
def test_everything_that_the_probe_saw_is_told(said: Said) -> None:
    cell = made.watched(0.5)
    cell.modes["m0"][0].observed = [{"score": 0.5, "tokens": 1024}, {"score": -0.25, "tokens": None}]
    output = said(made.evidence(cell))
    for part in ("how much it explains", f"{MINUS}0.25 to 0.5", "1,024, none in 1 of 2", "tokens", "note"):
        assert part in output, part


@every_form
def test_a_runtime_without_a_probe_has_nothing_to_say(said: Said) -> None:
    output = said(made.evidence(made.by_hand()))
    assert "probe" not in output and "not known" not in output


@every_form
def test_one_trial_does_not_pass_for_a_quiet_one(said: Said) -> None:
    output = said(made.evidence(made.by_hand(trials=1)))
    assert "not measured: --trials 2" in output
    assert "one pair: no interval" in output
    assert "±" not in output


@every_form
def test_a_baseline_alone_is_not_judged(said: Said) -> None:
    output = said(made.evidence(made.cell(count=5, n=2, modes=())))
    assert "Nothing was compared" in output
    above, *rest = output.split("How to read it")  # of the page, in its contents and above its legend
    assert "not resolved" not in above + (rest[-1].partition("The matrix")[2] if rest else "")


@every_form
def test_nothing_measured_is_said(said: Said) -> None:
    assert "Nothing was measured." in said(made.evidence())


@every_form
def test_one_sample_has_one_rate(said: Said) -> None:
    output = said(made.evidence(made.cell(count=6, n=1)))
    assert "pass@1" in output
    assert not re.search(r"pass@[2-9]", output)


@every_form
def test_every_mode_has_its_verdict(said: Said) -> None:
    output = said(made.evidence(made.cell(count=6, n=2, modes=("esamp", "wider"), trials=2)))
    for mode in ("esamp", "wider"):
        assert re.search(rf"SmolLM2-135M on arithmetic-2: {mode} ", output)


@every_form
def test_a_path_is_shown_by_its_last_part(said: Said) -> None:
    output = said(made.evidence(made.cell(model="/data/weights/some-model/", count=4, n=2)))
    assert output.startswith("some-model on ") or "some-model on arithmetic-2: esamp" in output


@every_form
def test_models_of_one_name_are_told_apart(said: Said) -> None:
    output = said(made.evidence(made.cell(model="one/tiny", count=4, n=2), made.cell(model="two/tiny", count=4, n=2)))
    assert "one/tiny" in output
    assert "two/tiny" in output
    assert "2 models" in output


@pytest.mark.parametrize("said", [words_of_page, words_of_markdown])
def test_no_problem_is_lost_among_many(said: Said) -> None:
    cell = made.cell("humaneval", count=164, n=4, trials=1, names="HumanEval/{number}", lift=0.1)
    output = said(made.evidence(cell))
    for problem in cell.problems:
        number = problem.partition("/")[2]
        assert re.search(rf"(HumanEval/|\b){number}\b", output), problem
    assert output.count("did not move") == 1


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


@every_form
def test_one_problem_is_enough(said: Said) -> None:
    assert "SmolLM2-135M on arithmetic-2: esamp" in said(made.evidence(made.cell(count=1, n=4)))


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


def test_a_terminal_gets_colours() -> None:
    file = io.StringIO()
    show_text(made.evidence(made.by_hand("harmful")), Console(file=file, force_terminal=True, width=100))
    assert "\x1b[" in file.getvalue()


@pytest.mark.parametrize("form", [render_html, render_markdown, shown])
def test_the_same_evidence_gives_the_same_bytes(form: Said, usual: AccuracyEvidence) -> None:
    again = msgspec.json.decode(msgspec.json.encode(usual), type=AccuracyEvidence)
    assert form(usual) == form(again)


def test_evidence_is_left_as_it_was(usual: AccuracyEvidence) -> None:
    before = msgspec.json.encode(usual)
    render_html(usual), render_markdown(usual), shown(usual)
    assert msgspec.json.encode(usual) == before


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
        (["not resolved", "saturated"], "esamp: no difference shown on all 2 tasks"),
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


@pytest.mark.parametrize(
    ("drawn", "last", "said", "unsaid"),
    [
        (40.0, 600.0, "took 10 min of that, drawing 80.0 s", "the last session"),
        (900.0, 300.0, "drawing, in all sessions 30 min the last session 5 min", "took 5 min"),
    ],
)
def test_the_last_session_does_not_pass_for_all_of_them(drawn: float, last: float, said: str, unsaid: str) -> None:
    cell = made.by_hand()
    for trial in cell.modes[BASELINE]:
        trial.seconds = drawn
    evidence = made.evidence(cell)
    evidence.seconds = last
    output = words_of_page(evidence)
    assert said in output and unsaid not in output


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


def test_the_first_sentence_counts_cells() -> None:
    cells = [msgspec.structs.replace(made.by_hand(), task=f"task-{number}") for number in range(4)]
    assert shown(made.evidence(*cells)).startswith("model: esamp is not shown to help or harm on any of 4 tasks.\n")
    judgement: Judgement = made.by_hand("saturated").judgements[0]
    cells[0].judgements = [judgement]
    output = shown(made.evidence(*cells)).splitlines()[0]
    assert "has no room to help on task-0; it is not shown to help or harm on task-1, task-2 and task-3." in output
