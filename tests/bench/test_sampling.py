"""Drawing what a journal lacks: however often a worker dies, and wherever problems are drawn, samples are the same."""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_draws import REQUIRED, MadeShard, at_work, make_task, plan

from patchkit.bench.counting import count, throughput, unread
from patchkit.bench.journal import Journal, Session
from patchkit.bench.progress import ProgressDisplay
from patchkit.bench.sampling import DrawRequest, draw
from patchkit.bench.shards import DrawError, Shard
from patchkit.evals.grader_pool import Grading
from patchkit.evals.records import Grade
from patchkit.evals.tasks.base import Task

N = 3
TASK = make_task(4)


@pytest.fixture(scope="module")
def grading() -> Iterator[Grading]:
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        with Grading(TASK.grader, workers=1) as grading:
            yield grading
    finally:
        sys.path.remove(str(Path(__file__).parent))


def request_of(shards: Sequence[Shard]) -> DrawRequest:
    spec: dict[str, Any] = {"n": N, "runtime": {}}
    return DrawRequest({"draw": spec}, shards, REQUIRED)


def drawn(
    folder: Path, shards: Sequence[Shard], grading: Grading, mode: str = "baseline", task: Task = TASK
) -> Journal:
    """The journal after as many tries as it takes."""
    problems = [problem.id for problem in task.problems]
    for _ in range(9):
        with Journal(folder, plan(mode, n=N), problems) as journal:
            try:
                draw(journal, task, request_of(shards), grading, ProgressDisplay("", 8, None))
            except DrawError:
                continue
            return journal
    raise AssertionError("it never came to its end")


def texts(journal: Journal) -> dict[tuple[str, int], str]:
    return {key: sample.text for key, sample in journal.samples.items()}


@settings(max_examples=15, deadline=None)
@given(
    deaths=st.lists(st.integers(0, 12), max_size=3),
    count=st.integers(1, 3),
)
def test_killed_and_resumed_is_unbroken(grading: Grading, deaths: list[int], count: int) -> None:
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        whole = drawn(Path(first), [MadeShard()], grading)
        dying: list[Shard] = [MadeShard(deaths[i] if i < len(deaths) else None) for i in range(count)]
        broken = drawn(Path(second), dying, grading)
        assert texts(whole) == texts(broken)
        assert whole.grades == broken.grades
        with closing(sqlite3.connect(broken.path)) as database:
            assert database.execute("SELECT COUNT(*) FROM samples").fetchone() == (12,)


def test_a_problem_is_drawn_whole_with_the_runtime_and_in_parts_without(tmp_path: Path, grading: Grading) -> None:
    for mode, asked in (("baseline", [[2], [0, 1, 2]]), ("esamp", [[0, 1, 2], [0, 1, 2]])):
        shard = MadeShard(dies_after=2, counters=at_work(6) if mode == "esamp" else None)
        task = make_task(2)
        drawn(tmp_path / mode, [shard], grading, mode, task)
        assert [problem["samples"] for problem in shard.requests[-1]["draw"]["problems"]] == asked


def test_counts_add_up_over_shards_and_sessions(tmp_path: Path, grading: Grading) -> None:
    journal = drawn(tmp_path, [MadeShard(counters=at_work(6)), MadeShard(counters=at_work(6))], grading, "esamp")
    trial = count(journal)
    assert (trial.tokens, trial.seconds, trial.sessions) == (36, 2.0, 1)
    assert trial.counters == {"rows": 24.0, "lost": 0.0, "moved": 18.0, "steady": 1.0, "last": 0.5}
    right = [sum(journal.grades[problem, i].correct for i in range(N)) for problem in journal.problems]
    assert trial.correct == right


def test_a_dead_runtime_is_loud_and_its_samples_are_gone(tmp_path: Path, grading: Grading) -> None:
    dead = {**at_work(0), "moved": 0}
    with Journal(tmp_path, plan("esamp", N), [problem.id for problem in TASK.problems]) as journal:
        with pytest.raises(DrawError, match="not at work: rows is 0 of 24 decode rows, moved is 0"):
            draw(journal, TASK, request_of([MadeShard(counters=dead)]), grading, ProgressDisplay("", 8, None))
        assert not journal.samples
        assert len(journal.missing()) == 4


def test_a_shard_in_which_the_runtime_is_dead_does_not_hide_among_the_others(tmp_path: Path, grading: Grading) -> None:
    dead = at_work(0)
    shards = [MadeShard(counters=at_work(6)), MadeShard(counters=dead)]
    with Journal(tmp_path, plan("esamp", n=N), [problem.id for problem in TASK.problems]) as journal:
        with pytest.raises(DrawError, match="rows is 0 of 12 decode rows"):
            draw(journal, TASK, request_of(shards), grading, ProgressDisplay("", 8, None))
        assert not journal.samples


def test_with_a_runtime_no_sample_is_kept_before_it_is_known_to_be_at_work(tmp_path: Path, grading: Grading) -> None:
    problems = [problem.id for problem in TASK.problems]
    for beats, kept in ((False, 0), (True, 6)):
        shard = MadeShard(dies_after=6, beats=beats)
        with Journal(tmp_path / str(beats), plan("esamp", n=N), problems) as journal:
            with pytest.raises(DrawError, match="SIGKILL"):
                draw(journal, TASK, request_of([shard]), grading, ProgressDisplay("", 8, None))
            assert len(journal.samples) == kept


def test_a_runtime_that_died_takes_with_it_what_was_drawn_before(tmp_path: Path, grading: Grading) -> None:
    problems, dead = [problem.id for problem in TASK.problems], at_work(0)
    with Journal(tmp_path, plan("esamp", n=N), problems) as journal:
        with pytest.raises(DrawError, match="SIGKILL"):
            draw(
                journal, TASK, request_of([MadeShard(dies_after=6, beats=True)]), grading, ProgressDisplay("", 8, None)
            )
        assert len(journal.samples) == 6
        with pytest.raises(DrawError, match="rows is 0 of 12 decode rows"):
            draw(journal, TASK, request_of([MadeShard(counters=dead)]), grading, ProgressDisplay("", 8, None))
    with Journal(tmp_path, plan("esamp", n=N), problems) as journal:
        assert not journal.samples and not journal.grades and not journal.sessions


def test_a_model_that_changed_on_the_hub_is_not_drawn_on(tmp_path: Path, grading: Grading) -> None:
    problems = [problem.id for problem in TASK.problems]
    with Journal(tmp_path, plan(n=N), problems) as journal:
        journal.add_session(Session(session=0, revision="abc"))
        with pytest.raises(DrawError, match="the model was abc when this draw began, and is None now"):
            draw(journal, TASK, request_of([MadeShard()]), grading, ProgressDisplay("", 8, None))


def test_speed_is_compared_only_where_both_ran_alike(tmp_path: Path, grading: Grading) -> None:
    alike = {"max_num_seqs": 12}
    plain = count(drawn(tmp_path / "a", [MadeShard(**alike)], grading))
    patched = count(drawn(tmp_path / "b", [MadeShard(counters=at_work(12), **alike)], grading, "esamp"))
    other = count(drawn(tmp_path / "c", [MadeShard(counters=at_work(12), max_num_seqs=6)], grading, "esamp"))
    two = [MadeShard(counters=at_work(6), **alike), MadeShard(counters=at_work(6), **alike)]
    shared = count(drawn(tmp_path / "d", two, grading, "esamp"))
    ratio = throughput([plain], [patched])
    assert ratio is not None and ratio.ratio == 1.0
    assert throughput([plain], [other]) is None
    assert throughput([plain], [shared]) is None


SEEN = {"score": 0.5}


def observed(folder: Path, shards: Sequence[Shard], grading: Grading, mode: str = "esamp") -> list[Any]:
    return count(drawn(folder, shards, grading, mode)).observed


def test_what_the_probe_saw_is_kept_of_each_process(tmp_path: Path, grading: Grading) -> None:
    two = [MadeShard(counters=at_work(6), observed=seen) for seen in (SEEN, {"score": -1.0})]
    assert observed(tmp_path / "two", two, grading) == [SEEN, {"score": -1.0}]
    half = [MadeShard(counters=at_work(6), observed=SEEN), MadeShard(counters=at_work(6))]
    assert observed(tmp_path / "half", half, grading) == [SEEN, None]
    assert observed(tmp_path / "none", [MadeShard(counters=at_work(12))], grading) == [None]
    assert observed(tmp_path / "baseline", [MadeShard()], grading, "baseline") == []


def test_what_a_killed_process_saw_is_not_known(tmp_path: Path, grading: Grading) -> None:
    dying = MadeShard(dies_after=6, beats=True, counters=at_work(6), observed=SEEN)
    assert observed(tmp_path / "kept", [dying], grading) == [None, SEEN]
    useless = MadeShard(dies_after=2, beats=True, counters=at_work(12), observed=SEEN)
    assert observed(tmp_path / "dropped", [useless], grading) == [SEEN], "nothing that it drew is kept"


def test_what_the_probe_saw_is_still_there_when_the_draw_is_opened_again(tmp_path: Path, grading: Grading) -> None:
    shard = MadeShard(counters=at_work(12), observed=SEEN)
    drawn(tmp_path, [shard], grading, "esamp")
    assert observed(tmp_path, [], grading) == [SEEN]


def test_a_grader_that_fails_makes_no_pass(tmp_path: Path, grading: Grading) -> None:
    task = make_task(2, reference="never")
    journal = drawn(tmp_path, [MadeShard()], grading, task=task)
    assert count(journal).correct == [0, 0]
    assert (count(journal).ungraded, count(journal).why) == (6, {"grader: ZeroDivisionError": 6})
    with Journal(tmp_path, plan(n=N), [problem.id for problem in task.problems]) as again:
        assert len(again.ungraded()) == 6 and not again.missing(), "the next run asks the grader again"


def test_unread_samples_are_counted_unless_a_grader_does_not_tell() -> None:
    read, wrong, failed = Grade(True), Grade(False, unread=False), Grade(False, why="grader: died")
    nothing = Grade(False, unread=True)
    assert unread([read, wrong, failed, nothing, nothing]) == 2
    assert unread([read, wrong]) == 0
    assert unread([read, nothing, Grade(False, why="wrong")]) is None
