"""Programs are read out of the answers of the corpus, and do what was asked."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from programs import Answer, answers, wrong


@pytest.mark.parametrize("answer", answers("written_on"), ids=lambda answer: f"{answer.family}-{answer.id}")
def test_the_program_of_an_answer_does_what_was_asked(answer: Answer) -> None:
    assert wrong(answer) == ""


def test_nine_in_ten_of_the_answers_that_the_reader_is_not_tuned_on_are_read_right() -> None:
    found = [wrong(answer) for answer in answers("held_back")]
    assert len(found) * 3 >= len(found) + len(answers("written_on"))
    assert sum(not one for one in found) >= 0.9 * len(found)


def test_no_answer_is_there_twice() -> None:
    every = [*answers("held_back"), *answers("written_on")]
    assert len({answer.id for answer in every}) == len(every) == len({answer.text for answer in every})
