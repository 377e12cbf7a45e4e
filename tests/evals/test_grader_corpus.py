"""Texts of the corpus are read as they should be."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from patchkit.evals.graders.integer import read_answer

sys.path.insert(0, str(Path(__file__).parent))
from corpus import Entry, entries


@pytest.mark.parametrize(
    "entry", [entry for entry in entries() if entry.part == "tuned on"], ids=lambda entry: f"{entry.family}-{entry.id}"
)
def test_a_text_is_read_as_it_should_be(entry: Entry) -> None:
    assert read_answer(entry.text) == entry.reads


@pytest.mark.parametrize("part", ["held back", "independent"])
def test_nine_in_ten_of_the_texts_that_readers_are_not_tuned_on_are_read_as_they_should_be(part: str) -> None:
    rights = [read_answer(entry.text) == entry.reads for entry in entries() if entry.part == part]
    assert len(rights) > 40
    assert sum(rights) >= 0.9 * len(rights)
