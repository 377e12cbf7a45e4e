"""``honoured`` goes red for every feature that a request sets and does not get."""

from __future__ import annotations

from typing import Any

import pytest
from runs import make_part, make_pass, make_run

from patchkit.gates.invariants.base import Figures
from patchkit.gates.verdict import judge_part
from patchkit.report.progress_lines import highlights

GOOD: dict[str, Any] = {"prompt": 0, "sample": 0, "token_ids": [5, 6, 7], "text": "abc", "finish": "length"}


def judged(sampling: dict[str, Any], params: dict[str, Any] | None = None, n: int = 1, **answer: Any) -> list[str]:
    """The reasons against one answer to one request."""
    group = {"prompts": {"kind": "random", "count": 1, "tokens": 4}, "max_tokens": 8, "n": n, "sampling": sampling}
    part = make_part({"honoured": params or {}}, calls=[{"groups": [group]}])
    done = make_pass(calls=[{"outputs": [GOOD | answer]}])
    return [broken.reason for broken in judge_part(make_run(part, passes=[done]))[1]]


PAIRS = {"logprobs": [[[5, -0.5], [9, -0.7]], [[6, -0.5], [9, -0.7]], [[7, -0.5], [9, None]]]}


@pytest.mark.parametrize(
    ("sampling", "good", "bad", "said"),
    [
        ({"allowed_token_ids": [5, 6, 7]}, {}, {"token_ids": [5, 8]}, "token 8 is not allowed"),
        ({"bad_words": ["x"]}, {}, {"text": "axc"}, "the text holds 'x'"),
        ({"logit_bias": {9: -100}}, {}, {"token_ids": [5, 9]}, "token 9 was drawn, whose bias is -100"),
        ({"logit_bias": {5: 100}}, {"token_ids": [5, 5]}, {}, "token 6 was drawn, though 5 has a bias of 100"),
        ({"logit_bias": {5: 20}}, {}, None, ""),
        ({"min_tokens": 3}, {"finish": "stop"}, {"token_ids": [5]}, "1 tokens of at least 3"),
        ({"stop": "d"}, {}, {"text": "abde"}, "the text goes on behind 'd'"),
        ({"stop": ["d"]}, {"finish": "stop", "stopped_by": "d"}, {"text": "abd"}, "the text goes on behind 'd'"),
        (
            {"stop": ["c"], "include_stop_str_in_output": True},
            {"finish": "stop", "stopped_by": "c"},
            {"text": "ab", "finish": "stop", "stopped_by": "c"},
            "the text does not end with 'c'",
        ),
        ({"logprobs": 1}, PAIRS, {}, "0 log-probabilities for 3 tokens"),
        (
            {"logprobs": 1},
            PAIRS,
            {"logprobs": [[[5, -1.0]], [[8, -1.0]], [[7, -1.0]]]},
            "log-probabilities of 1 tokens",
        ),
        ({"logprobs": 1}, PAIRS, {"logprobs": [[[5, 0.5]], [[6, -1.0]], [[7, -1.0]]]}, "a log-probability of 0.5"),
        (
            {"prompt_logprobs": 1},
            {"prompt_logprobs": [None, [[4, -2.0]]]},
            {},
            "0 log-probabilities of the prompt, the first missing",
        ),
        (
            {"structured": {"regex": "[a-c]+"}},
            {"finish": "stop"},
            {"text": "abd", "finish": "stop"},
            "'abd' does not match",
        ),
        ({"structured": {"regex": "[a-c]+[0-9]"}}, {"finish": "length"}, None, ""),
        (
            {"structured": {"choice": ["abc"]}},
            {"finish": "stop"},
            {"text": "x", "finish": "stop"},
            "none of the choices",
        ),
    ],
)
def test_each_feature(sampling: dict[str, Any], good: dict[str, Any], bad: dict[str, Any] | None, said: str) -> None:
    feature = next(iter(sampling))
    assert judged(sampling, {"features": [feature]}, **good) == []
    if bad is not None:
        (reason,) = judged(sampling, **bad)
        assert reason.startswith(f"{feature} is not honoured: ") and said in reason
        assert reason.endswith(", prompt 0 of call 0")


def test_every_sample_must_be_there() -> None:
    assert judged({}, {"features": ["n"]}, n=2) == [
        "n is not honoured: 1 samples of 2, prompt 0 of call 0",
    ]


def test_a_penalty_spreads_tokens() -> None:
    sampling = {"presence_penalty": 2.0}
    assert judged(sampling, {"repeats": 2, "features": ["presence_penalty"]}, token_ids=[5, 6, 5]) == []
    (reason,) = judged(sampling, {"repeats": 2}, token_ids=[5, 5, 6, 5])
    assert reason == "penalty is not honoured: token 5 is in the answer 3 times, prompt 0 of call 0"


def test_a_feature_that_nobody_asked_for_was_not_seen() -> None:
    assert judged({}, {"features": ["min_tokens", "seed"]}) == ["no answer shows whether min_tokens, seed is honoured"]


def test_what_was_skipped_is_said_and_not_taken_for_honoured() -> None:
    group = {"prompts": {"kind": "random", "count": 1, "tokens": 4}, "max_tokens": 8}
    group |= {"sampling": {"structured": {"regex": "x"}}}
    part = make_part({"honoured": {"features": ["structured"]}}, calls=[{"groups": [group]}])
    done = make_pass(calls=[{"outputs": [GOOD | {"finish": "stop"}], "skipped": {0: "No module named 'xgrammar'"}}])
    verdict, broken = judge_part(make_run(part, passes=[done]))
    assert not broken
    assert verdict.figures["skipped"] == "structured: No module named 'xgrammar'"
    figures: Figures = dict(verdict.figures)
    assert highlights(figures) == "skipped structured: No module named 'xgrammar'"


def test_a_seed_brings_the_same_tokens_each_time_that_the_settings_are_the_same() -> None:
    group = {"prompts": {"kind": "random", "count": 1, "tokens": 4}, "max_tokens": 8, "seed": 3}
    part = make_part({"honoured": {"features": ["seed"]}}, calls=[{"groups": [group]}], repeat=2)

    def passes(second: list[int]) -> list[dict[str, Any]]:
        return [
            make_pass(repeat=at, calls=[{"outputs": [GOOD | {"token_ids": ids}]}])
            for at, ids in enumerate(([5], second))
        ]

    assert judge_part(make_run(part, passes=passes([5])))[1] == []
    (broken,) = judge_part(make_run(part, passes=passes([6])))[1]
    assert broken.reason == "seed is not honoured: prompt 0 sample 0 changes"
