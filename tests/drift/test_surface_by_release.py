"""A surface that grows with the series: what only a later patch touches is no break before it, nor as it begins."""

from __future__ import annotations

from typing import Any

import pytest

from patchkit.drift.findings import Finding
from patchkit.drift.reading import Choice, ChosenClass, Reading
from patchkit.drift.scan import dead, hooked_besides, of_both
from patchkit.series.manifest import Selected, Surface

FIRST, SECOND = "vllm.first.Runner", "vllm.second.Runner"
ALSO = Surface(
    selected={FIRST: Selected(by={"cuda": "vllm.worker.make"}, architectures=["A", "B"], also={SECOND: ">=0.23.0"})},
    only_in={"vllm.second.Sampler.sample": ">=0.23.0"},
)
ALONE = Surface(selected={FIRST: Selected(by={"cuda": "vllm.worker.make"}, architectures=["A", "B"])})
CHANGED = Finding("selection-changed", "silent", FIRST, "is not made for A on cuda, second.Runner is: ...")


def reading(release: str, **choices: Choice | None) -> Reading:
    chosen = {ChosenClass(FIRST, "cuda", architecture): choice for architecture, choice in choices.items()}
    return Reading(release, "", True, {}, chosen)


def made(name: str) -> Choice:
    return Choice((name,), name == FIRST, "worker.py:1", (), ())


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [("0.22.0", "0.22.1", False), ("0.22.1", "0.23.0", False), ("0.23.0", "0.24.0", True), ("a branch", "main", True)],
)
def test_a_symbol_of_a_later_patch_counts_once_both_releases_have_it(old: str, new: str, counts: bool) -> None:
    assert of_both(ALSO, "vllm.second.Sampler.sample", reading(old), reading(new)) is counts
    assert of_both(ALSO, "vllm.first.Sampler.sample", reading(old), reading(new)), "not said: of every release"


def test_a_class_that_a_patch_hooks_besides_is_no_unpatched_break() -> None:
    after = reading("0.23.0", A=made(SECOND), B=made(FIRST))
    found = hooked_besides(CHANGED, after, ALSO)
    assert found.fixed_by == ("manifest",) and not found.unpatched
    assert found.because == "the manifest says that vllm.second.Runner (>=0.23.0) is hooked as well"
    assert list(dead(after, ALSO)) == []


@pytest.mark.parametrize(
    ("surface", "after"),
    [
        (ALSO, reading("0.22.0", A=made(SECOND))),
        (ALSO, reading("0.23.0", A=made("vllm.third.Runner"))),
        (ALSO, reading("0.23.0", A=made(SECOND), B=None)),
        (ALONE, reading("0.23.0", A=made(SECOND))),
    ],
    ids=["before that patch", "yet another class", "not known for a model", "never declared"],
)
def test_it_stays_a_break_where_the_class_is_not_hooked(surface: Surface, after: Any) -> None:
    assert hooked_besides(CHANGED, after, surface) is CHANGED
