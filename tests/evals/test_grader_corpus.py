"""Every text of the corpus is read as it should be."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from patchkit.evals.graders.integer import read_answer

sys.path.insert(0, str(Path(__file__).parent))
from corpus import Entry, entries


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: f"{entry.family}-{entry.id}")
def test_a_text_is_read_as_it_should_be(entry: Entry) -> None:
    assert read_answer(entry.text) == entry.reads
