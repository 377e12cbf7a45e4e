"""The journal of a draw: whatever a kill leaves on disk, nothing is lost that was whole, and nothing is there twice."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_draws import plan

from patchkit.bench.journal import Graded, Journal, Sitting
from patchkit.errors import PatchkitError
from patchkit.evals.record import Grade, Sample

PROBLEMS = ["a", "b/1", "ç"]
N = 3


def sample(problem: str, number: int, sitting: int = 0) -> Sample:
    return Sample(problem=problem, sample=number, seed=number, text=f"{problem} {number}\n", tokens=2, sitting=sitting)


def fill(journal: Journal, keys: Sequence[tuple[str, int]], sitting: int = 0) -> None:
    for key in keys:
        journal.add_samples([sample(*key, sitting=sitting)])
        journal.add_grades([Graded(*key, Grade(correct=key[1] == 0))])


EVERYTHING = [(problem, number) for problem in PROBLEMS for number in range(N)]


@settings(max_examples=60, deadline=None)
@given(
    order=st.permutations(EVERYTHING),
    drawn=st.integers(0, len(EVERYTHING)),
    cut=st.tuples(st.integers(0, 400), st.integers(0, 400)),
    mode=st.sampled_from(["baseline", "esamp"]),
)
def test_a_torn_journal_goes_on(order: list[tuple[str, int]], drawn: int, cut: tuple[int, int], mode: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with Journal(Path(folder), plan(mode, N), PROBLEMS) as journal:
            fill(journal, order[:drawn])
        for name, lost in zip(("samples.jsonl", "grades-.jsonl"), cut, strict=True):
            path = journal.folder / name
            if path.exists():
                content = path.read_bytes()
                path.write_bytes(content[: max(0, len(content) - lost)])
        with Journal(Path(folder), plan(mode, N), PROBLEMS) as journal:
            there = set(journal.samples)
            assert there <= set(order[:drawn])
            missing = {(problem, number) for problem, numbers in journal.missing().items() for number in numbers}
            assert there | missing == set(EVERYTHING) and not there & missing
            if mode == "esamp":  # what learns from each other is drawn together
                assert all(len(numbers) == N for numbers in journal.missing().values())
            assert set(journal.grades) <= there
            fill(journal, sorted(missing), sitting=journal.next_sitting)
            journal.add_grades([Graded(s.problem, s.sample, Grade(False)) for s in journal.ungraded()])
            assert journal.complete
        with Journal(Path(folder), plan(mode, N), PROBLEMS) as journal:
            assert journal.complete and set(journal.samples) == set(EVERYTHING)
            lines = (journal.folder / "samples.jsonl").read_text().splitlines()
            assert len(lines) == len(EVERYTHING)


def test_a_sample_that_comes_twice_is_kept_once(tmp_path: Path) -> None:
    with Journal(tmp_path, plan(n=N), PROBLEMS) as journal:
        journal.add_samples([sample("a", 0), sample("a", 0, sitting=1)])
        journal.add_samples([sample("a", 0, sitting=2)])
        assert len((journal.folder / "samples.jsonl").read_text().splitlines()) == 1


def test_a_grade_whose_sample_is_dropped_does_not_wait_for_the_next_one(tmp_path: Path) -> None:
    with Journal(tmp_path, plan("esamp", N), PROBLEMS) as journal:
        fill(journal, [("a", 0)])
    with Journal(tmp_path, plan("esamp", N), PROBLEMS) as journal:
        journal.add_samples([sample("a", number, sitting=1) for number in range(N)])
        assert len(journal.ungraded()) == N


def test_another_grader_grades_anew(tmp_path: Path) -> None:
    with Journal(tmp_path, plan(n=N), PROBLEMS, "one") as journal:
        fill(journal, EVERYTHING)
        assert journal.complete
    with Journal(tmp_path, plan(n=N), PROBLEMS, "two") as journal:
        assert len(journal.ungraded()) == len(EVERYTHING) and not journal.missing()
    with Journal(tmp_path, plan(n=N), PROBLEMS, "one") as journal:
        assert journal.complete


def test_another_choice_is_another_journal(tmp_path: Path) -> None:
    changes = [{"n": 4}, {"trial": 1}, {"seed": 1}, {"engine": {"dtype": "x"}}, {"mode": "esamp"}, {"task_digest": "e"}]
    folders = {plan(**change).folder for change in changes} | {plan().folder}
    assert len(folders) == len(changes) + 1


def test_modes_share_seeds_and_trials_do_not() -> None:
    assert plan("baseline").seed_of("a") == plan("esamp", N).seed_of("a")
    assert len({plan(trial=trial).seed_of(problem) for trial in range(3) for problem in PROBLEMS}) == 9


def test_one_journal_is_written_by_one_process(tmp_path: Path) -> None:
    with (
        Journal(tmp_path, plan(n=N), PROBLEMS),
        pytest.raises(PatchkitError, match="another patchkit draws t"),
        Journal(tmp_path, plan(n=N), PROBLEMS),
    ):
        pass


def test_a_broken_line_that_no_kill_explains_is_said(tmp_path: Path) -> None:
    with Journal(tmp_path, plan(n=N), PROBLEMS) as journal:
        fill(journal, [("a", 0), ("a", 1)])
    path = journal.folder / "samples.jsonl"
    path.write_bytes(b"{}\n" + path.read_bytes())
    with (
        pytest.raises(PatchkitError, match=r"samples\.jsonl: line 1: .*--fresh"),
        Journal(tmp_path, plan(n=N), PROBLEMS),
    ):
        pass
    with Journal(tmp_path, plan(n=N), PROBLEMS, fresh=True) as journal:
        assert not journal.samples


def test_sittings_are_numbered_on(tmp_path: Path) -> None:
    with Journal(tmp_path, plan(n=N), PROBLEMS) as journal:
        assert journal.next_sitting == 0
        fill(journal, [("a", 0)], sitting=0)
        assert journal.next_sitting == 1
        journal.add_sitting(Sitting(sitting=1, engine={"dtype": "float32"}))
        journal.add_sitting(Sitting(sitting=1, seconds=2.0, tokens=3, counters={"intervened_rows": 1.0}))
    with Journal(tmp_path, plan(n=N), PROBLEMS) as journal:
        assert journal.next_sitting == 2
        assert journal.sittings[1].counters == {"intervened_rows": 1.0}
