"""A runtime that was not at work is told from one that was, by what the worker counted itself."""

from __future__ import annotations

from typing import Any

import pytest

from patchkit.bench.at_work import check_at_work, merge_counters
from patchkit.bench.shards import DrawError
from patchkit.gates.events import Drawn, Progress

GOOD: dict[str, Any] = {"intervened_rows": 100, "unmapped_rows": 0, "moved_tokens": 9, "loss_finite": True}


def drawn(decode_rows: int, tokens: int) -> Drawn:
    return Drawn("r", seconds=1.0, tokens=tokens, decode_rows=decode_rows)


def beat(decode_rows: int, tokens: int) -> Progress:
    return Progress("r", seconds=1.0, tokens=tokens, begun=5, finished=0, unfinished=5, decode_rows=decode_rows)


def test_at_work() -> None:
    check_at_work(GOOD, drawn(100, 110), 10, 0.8)
    check_at_work(GOOD, drawn(109, 119), 10, 0.8)  # a step under way
    check_at_work({**GOOD, "moved_tokens": 0}, drawn(100, 110), 10, 0.0)  # with beta = 0 nothing moves
    check_at_work({**GOOD, "intervened_rows": 0, "moved_tokens": 0}, beat(3, 8), 5, 0.8)  # it has hardly begun
    check_at_work({}, drawn(0, 10), 10, 0.8)  # answers of one token have no decode row
    check_at_work(GOOD, drawn(100, 500), 10, 0.8)  # preempted again and again: what is computed anew is no decode row


@pytest.mark.parametrize(
    ("counters", "said", "reason"),
    [
        ({"intervened_rows": 0}, drawn(100, 110), "it intervened on 0 of 100 decode rows"),
        ({"intervened_rows": 50}, drawn(100, 110), "it intervened on 50 of 100 decode rows"),
        ({"intervened_rows": 200}, drawn(100, 110), "it intervened on 200 of 100 decode rows"),
        ({"intervened_rows": 0}, drawn(3, 13), "it intervened on 0 of 3 decode rows"),
        ({"intervened_rows": 0}, beat(40, 45), "it intervened on 0 of 40 decode rows"),
        ({"unmapped_rows": 2}, drawn(100, 110), "2 rows belonged to nobody"),
        ({"moved_tokens": 0}, drawn(100, 110), "it moved no logit"),
        ({"loss_finite": False}, drawn(100, 110), "its loss is not finite"),
        ({"intervened_rows": 0}, drawn(0, 110), "no decode row was seen in 110 tokens"),
    ],
)
def test_not_at_work(counters: dict[str, Any], said: Drawn | Progress, reason: str) -> None:
    with pytest.raises(DrawError, match=f"the runtime was not at work: .*{reason}"):
        check_at_work({**GOOD, **counters}, said, 5 if isinstance(said, Progress) else 10, 0.8)


def test_counters_of_several_processes() -> None:
    parts: list[dict[str, float | None]] = [
        {"rows": 5, "loss_finite": 0, "loss_last": 3.0},
        {"rows": None, "loss_finite": None, "loss_last": None},
        {"rows": 7, "loss_finite": 1, "loss_last": 2.0},
    ]
    assert merge_counters(parts) == {"rows": 12.0, "loss_finite": 0.0, "loss_last": 2.0}
    assert merge_counters(reversed(parts)) == {"rows": 12.0, "loss_finite": 0.0, "loss_last": 3.0}
    assert merge_counters([]) == {}
