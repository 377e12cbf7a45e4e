"""What is read back of an accuracy run: its counts, if they can be, and what follows from them, whatever it says."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_accuracy import by_hand, cell, evidence
from rich.console import Console

from patchkit.bench.accuracy_evidence import AccuracyEvidence, read_accuracy
from patchkit.errors import PatchkitError
from patchkit.report.accuracy import render_html, render_markdown, show_text

GOOD = msgspec.to_builtins(evidence(cell(count=3, n=4, trials=2)))
STEPS = tuple[str | int, ...]


def read(tmp_path: Path, document: Any) -> AccuracyEvidence:
    path = tmp_path / "run.json"
    path.write_bytes(msgspec.json.encode(document))
    return read_accuracy(path)


def changed(steps: STEPS, value: Any) -> Any:
    """Good evidence, in which something of its cell is something else."""
    document = copy.deepcopy(GOOD)
    at = document["cells"][0]
    for step in steps[:-1]:
        at = at[step]
    at[steps[-1]] = value
    return document


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert msgspec.to_builtins(read(tmp_path, GOOD)) == GOOD


def test_verdicts_follow_from_the_counts_whatever_the_file_says(tmp_path: Path) -> None:
    document = copy.deepcopy(GOOD)
    (judgement,) = document["cells"][0]["judgements"]
    judgement.update(shape="token and trajectory headroom", advice="use it", because=[])
    judgement["changes"][0].update(after=1.0, direction=1)
    document["cells"][0]["curves"]["esamp"][0]["value"] = 1.0
    assert msgspec.to_builtins(read(tmp_path, document)) == GOOD
    assert msgspec.to_builtins(read(tmp_path, changed(("judgements",), []))) == GOOD
    assert msgspec.to_builtins(read(tmp_path, changed(("curves",), {}))) == GOOD


def test_the_baseline_comes_first_wherever_it_stands(tmp_path: Path) -> None:
    modes = GOOD["cells"][0]["modes"]
    again = read(tmp_path, changed(("modes",), dict(reversed(modes.items()))))
    assert [*again.cells[0].modes] == [*again.cells[0].curves] == ["baseline", "esamp"]


def test_figures_made_by_hand_are_worked_out_anew(tmp_path: Path) -> None:
    again = read(tmp_path, evidence(by_hand("harmful"))).cells[0]
    assert again.judgements[0].outcome == "not resolved"
    assert [rate.value for rate in again.curves["baseline"]] == [0.5] * 4


@pytest.mark.parametrize(
    ("steps", "value", "said"),
    [
        (("modes", "esamp", 0, "correct"), [1, 2], "esamp, trial 1: correct has 2 figures for 3 problems"),
        (("modes", "esamp", 1, "correct"), [1, 2, 99], "esamp, trial 2: correct has 99, which is not from 0 to 4"),
        (("modes", "baseline", 0, "correct"), [-1, 2, 3], "baseline, trial 1: correct has -1"),
        (("modes", "baseline", 0, "truncated"), [0, 0, 5], "truncated has 5"),
        (("modes", "baseline", 0, "answers"), [0.5], "answers has 1 figures for 3 problems"),
        (("modes", "baseline", 0, "approaches"), [None, None, 1.5], "approaches has 1.5"),
        (("modes", "baseline", 0, "ungraded"), 13, "ungraded: 13 of"),
        (("modes", "baseline", 0, "why"), {"a": 13}, "why: a: 13 of"),
        (("modes", "baseline", 0, "why"), {"a": -1}, "why: a: -1 of"),
        (("modes", "baseline", 0, "why"), {"a": 1, "b": 1, "c": 1, "d": 8}, "why counts 11 of"),
        (("modes", "baseline", 0, "seconds"), -1, "tokens, seconds, sessions and shards"),
        (("modes", "baseline", 0, "sessions"), 0, "tokens, seconds, sessions and shards"),
        (("modes", "baseline"), [], "there is no trial of the baseline"),
        (("modes",), {}, "there is no trial of the baseline"),
        (("modes", "esamp"), [], "0 trials of esamp are not the 2 of the baseline"),
        (("n",), 0, "3 problems with 0 samples cannot be judged"),
        (("n",), 10**9, "3 problems with 1000000000 samples cannot be judged"),
        (("problems",), [], "0 problems with 4 samples cannot be judged"),
        (("problems",), ["a", "b", "a"], "a problem is listed twice"),
        (("problems",), ["a", "b"], "correct has 3 figures for 2 problems"),
        (("throughput", "esamp", "ratio"), 0, "esamp: tokens/s of 0 x"),
        (("throughput", "esamp", "low"), -1, "esamp: tokens/s of 0.78 x (-1 to 0.88) cannot be"),
        (("throughput", "esamp", "high"), 0.7, "esamp: tokens/s of 0.78 x (0.63 to 0.7) cannot be"),
        (("throughput", "esamp", "pairs"), 3, "esamp: tokens/s of 3 pairs cannot be, of 2 trials"),
        (("throughput", "other"), {"ratio": 1, "low": 1, "high": 1, "pairs": 1}, "a throughput of other"),
    ],
)
def test_counts_that_cannot_be_are_one_line_that_names_the_cell(
    tmp_path: Path, steps: STEPS, value: Any, said: str
) -> None:
    with pytest.raises(PatchkitError) as error:
        read(tmp_path, changed(steps, value))
    output = str(error.value)
    assert "SmolLM2-135M on arithmetic-2: " in output and said in output and "\n" not in output


def places(value: Any, steps: STEPS = ()) -> Iterator[STEPS]:
    """Everything in a document."""
    if steps:
        yield steps
    if isinstance(value, dict | list):
        for step, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(one, (*steps, step))


GIVEN = {name: value for name, value in GOOD["cells"][0].items() if name not in ("curves", "judgements")}


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.sampled_from([*places(GIVEN)]),
    value=st.sampled_from([None, -1, 0, 1, 5, 99, 0.5, 1e300, "", "x", [], [1], [[]], {}, {"baseline": []}, True]),
)
def test_whatever_is_edited_is_one_line_or_a_report(tmp_path: Path, steps: STEPS, value: Any) -> None:
    try:
        again = read(tmp_path, changed(steps, value))
    except PatchkitError as error:
        assert "\n" not in str(error)
        return
    show_text(again, Console(file=io.StringIO()))
    assert "use it" not in render_markdown(again) + render_html(again)


def test_evidence_from_before_unread_samples_were_counted_leaves_them_unknown(tmp_path: Path) -> None:
    document = copy.deepcopy(GOOD)
    for trials in document["cells"][0]["modes"].values():
        for trial in trials:
            del trial["unread"]
    again = read(tmp_path, document)
    assert {trial.unread for trials in again.cells[0].modes.values() for trial in trials} == {None}
    assert "no answer could be read" not in render_markdown(again) + render_html(again)


@pytest.mark.parametrize("count", [-1, 13])
def test_more_unread_samples_than_wrong_ones_cannot_be(tmp_path: Path, count: int) -> None:
    with pytest.raises(PatchkitError, match=f"unread: {count} of"):
        read(tmp_path, changed(("modes", "baseline", 0, "unread"), count))
