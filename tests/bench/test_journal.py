"""The journal of a draw: after any kill, whatever was whole is there, and once."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_draws import plan

from patchkit.bench.journal import Graded, Journal, Session
from patchkit.errors import PatchkitError
from patchkit.evals.records import Grade, Sample

PROBLEMS = ["a", "b/1", "ç"]
N = 3


def sample(problem: str, number: int, session: int = 0) -> Sample:
    return Sample(problem=problem, sample=number, seed=number, text=f"{problem} {number}\n", tokens=2, session=session)


def fill(journal: Journal, keys: Sequence[tuple[str, int]], session: int = 0) -> None:
    for key in keys:
        journal.add_samples([sample(*key, session=session)])
        journal.add_grades([Graded(*key, Grade(correct=key[1] == 0))])


EVERYTHING = [(problem, number) for problem in PROBLEMS for number in range(N)]


@settings(max_examples=60, deadline=None)
@given(
    order=st.permutations(EVERYTHING),
    drawn=st.integers(0, len(EVERYTHING)),
    lost=st.integers(0, 150_000),
    mode=st.sampled_from(["baseline", "esamp"]),
)
def test_a_torn_journal_goes_on(order: list[tuple[str, int]], drawn: int, lost: int, mode: str) -> None:
    """What a power cut leaves: the files as they were in mid-run, and the newest without its end."""
    with tempfile.TemporaryDirectory() as folder:
        running, home = Path(folder, "running"), Path(folder, "torn")
        with Journal(running, plan(mode, N), PROBLEMS) as journal:
            fill(journal, order[:drawn])
            shutil.copytree(running, home)
        newest = home / journal.folder.name / "draw.sqlite-wal"
        os.truncate(newest, max(0, newest.stat().st_size - lost))
        with Journal(home, plan(mode, N), PROBLEMS) as journal:
            there = set(journal.samples)
            assert there <= set(order[:drawn])
            missing = {(problem, number) for problem, numbers in journal.missing().items() for number in numbers}
            assert there | missing == set(EVERYTHING) and not there & missing
            if mode == "esamp":  # what learns from each other is drawn together
                assert all(len(numbers) == N for numbers in journal.missing().values())
            else:
                assert there == set(order[: len(there)]), "what is lost is the end"
            assert set(journal.grades) <= there
            fill(journal, sorted(missing), session=journal.next_session)
            journal.add_grades([Graded(s.problem, s.sample, Grade(False)) for s in journal.ungraded()])
            assert journal.complete
        with Journal(home, plan(mode, N), PROBLEMS) as journal:
            assert journal.complete and set(journal.samples) == set(EVERYTHING)
            assert rows(journal) == len(EVERYTHING)


def rows(journal: Journal) -> int:
    """How many samples are on disk."""
    with closing(sqlite3.connect(journal.path)) as database:
        (found,) = database.execute("SELECT COUNT(*) FROM samples").fetchone()
        return int(found)


WRITER = """
import sys
from test_journal import *
with Journal(Path(sys.argv[1]), plan(n=MANY), PROBLEMS) as journal:
    print("open", flush=True)
    for problem, numbers in journal.missing().items():
        for number in numbers:
            journal.add_samples([sample(problem, number)])
            print("sample", problem, number, flush=True)
            journal.add_grades([Graded(problem, number, Grade(True))])
            print("grade", problem, number, flush=True)
"""
MANY = 100_000


@contextmanager
def writing(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that writes without end; killed at last."""
    command = [sys.executable, "-c", WRITER, str(home)]
    with subprocess.Popen(
        command, cwd=Path(__file__).parent, env={**os.environ, "PYTHONUTF8": "1"}, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "open\n"
            yield process
        finally:
            process.kill()


def test_what_was_written_outlives_kill_9(tmp_path: Path) -> None:
    """Killed in mid-write, again and again: every sample and grade that was said to be kept is there."""
    counted: dict[str, set[tuple[str, int]]] = {"sample": set(), "grade": set()}
    for pause in (0.0, 0.013, 0.05, 0.11, 0.2):
        with writing(tmp_path) as process:
            time.sleep(pause)
            process.send_signal(signal.SIGKILL)
            said = process.communicate()[0]
        for line in said.splitlines(keepends=True):
            if line.endswith("\n"):
                what, problem, number = line.split()
                counted[what].add((problem, int(number)))
        with Journal(tmp_path, plan(n=MANY), PROBLEMS) as journal:
            assert set(journal.samples) >= counted["sample"] and set(journal.grades) >= counted["grade"]
            assert len(journal.samples) <= len(counted["sample"]) + 1, "nothing but the one that was under way"
            counted = {"sample": set(journal.samples), "grade": set(journal.grades)}
            assert all(sample(*key) == one for key, one in journal.samples.items())
    assert counted["sample"]


def test_a_process_that_is_killed_leaves_no_lock(tmp_path: Path) -> None:
    with (
        writing(tmp_path) as process,
        pytest.raises(PatchkitError, match="another patchkit draws t"),
        Journal(tmp_path, plan(n=MANY), PROBLEMS),
    ):
        pass
    assert process.wait() == -signal.SIGKILL
    with Journal(tmp_path, plan(n=MANY), PROBLEMS) as journal:
        assert len(journal.samples) == rows(journal)


def test_whoever_is_locked_out_discards_nothing(tmp_path: Path) -> None:
    with Journal(tmp_path, plan(n=N), PROBLEMS) as journal:
        fill(journal, EVERYTHING)
        with pytest.raises(PatchkitError), Journal(tmp_path, plan(n=N), PROBLEMS, fresh=True):
            pass
        assert rows(journal) == len(EVERYTHING)


def test_a_sample_that_comes_twice_is_kept_once(tmp_path: Path) -> None:
    with Journal(tmp_path, plan(n=N), PROBLEMS) as journal:
        journal.add_samples([sample("a", 0), sample("a", 0, session=1)])
        journal.add_samples([sample("a", 0, session=2)])
        assert rows(journal) == 1


def test_a_grade_whose_sample_is_dropped_does_not_wait_for_the_next_one(tmp_path: Path) -> None:
    with Journal(tmp_path, plan("esamp", N), PROBLEMS) as journal:
        fill(journal, [("a", 0)])
    with Journal(tmp_path, plan("esamp", N), PROBLEMS) as journal:
        journal.add_samples([sample("a", number, session=1) for number in range(N)])
        assert len(journal.ungraded()) == N


def test_nor_does_a_grade_of_another_grader(tmp_path: Path) -> None:
    with Journal(tmp_path, plan("esamp", N), PROBLEMS, "one") as journal:
        fill(journal, [("a", 0)])
    with Journal(tmp_path, plan("esamp", N), PROBLEMS, "two") as journal:
        journal.add_samples([sample("a", number, session=1) for number in range(N)])
    with Journal(tmp_path, plan("esamp", N), PROBLEMS, "one") as journal:
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


@pytest.mark.parametrize("damage", ["not a database", "a record", "a page"])
def test_a_damage_that_no_kill_explains_is_said(tmp_path: Path, damage: str) -> None:
    with Journal(tmp_path, plan(n=N), PROBLEMS) as journal:
        fill(journal, EVERYTHING)
    if damage == "not a database":
        journal.path.write_bytes(b"{}\n" * 2000)
    elif damage == "a record":
        with closing(sqlite3.connect(journal.path)) as database, database:
            database.execute("UPDATE samples SET record = ? WHERE sample = 1", (b'{"problem": 1}',))
    else:
        journal.path.write_bytes(journal.path.read_bytes()[:-4096])
    with (
        pytest.raises(PatchkitError, match=r"draw\.sqlite: .*--fresh"),
        Journal(tmp_path, plan(n=N), PROBLEMS),
    ):
        pass
    with Journal(tmp_path, plan(n=N), PROBLEMS, fresh=True) as journal:
        assert not journal.samples


def test_a_folder_of_an_earlier_patchkit_is_refused_and_kept(tmp_path: Path) -> None:
    old = tmp_path / plan(n=N).folder / "samples.jsonl"
    old.parent.mkdir()
    old.write_text("{}\n")
    for _ in range(2):
        with (
            pytest.raises(PatchkitError, match=r"is of an earlier patchkit, .*--fresh, which discards it"),
            Journal(tmp_path, plan(n=N), PROBLEMS),
        ):
            pass
        assert old.exists()
    with Journal(tmp_path, plan(n=N), PROBLEMS, fresh=True) as journal:
        assert not old.exists() and not journal.samples


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Journal(tmp_path, plan(n=MANY), PROBLEMS) as journal:
        fill(journal, [("a", 0)])
        with closing(sqlite3.connect(journal.path)) as database:
            (pages,) = database.execute("PRAGMA page_count").fetchone()
        journal._database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(PatchkitError, match=r"cannot write .*draw\.sqlite: .*full; free some disk space"):
            for number in itertools.count(1):
                journal.add_samples([sample("a", number)])
        assert rows(journal) == len(journal.samples)


def test_sessions_are_numbered_on(tmp_path: Path) -> None:
    with Journal(tmp_path, plan(n=N), PROBLEMS) as journal:
        assert journal.next_session == 0
        fill(journal, [("a", 0)], session=0)
        assert journal.next_session == 1
        journal.add_session(Session(session=1, engine={"dtype": "float32"}))
        journal.add_session(Session(session=1, seconds=2.0, tokens=3, counters={"intervened_rows": 1.0}))
    with Journal(tmp_path, plan(n=N), PROBLEMS) as journal:
        assert journal.next_session == 2
        assert journal.sessions[1].counters == {"intervened_rows": 1.0}


def test_a_journal_of_an_earlier_patchkit_is_refused_in_one_line_and_left_as_it_is(tmp_path: Path) -> None:
    with Journal(tmp_path, plan(n=N), ["a"]) as journal:
        fill(journal, [("a", 0)], session=4)
        path = journal.path
    with closing(sqlite3.connect(path)) as database:
        database.execute("ALTER TABLE sessions RENAME TO runs")
    before = path.read_bytes()
    with pytest.raises(PatchkitError, match="is of an earlier patchkit, which named its tables otherwise") as error:
        Journal(tmp_path, plan(n=N), ["a"]).__enter__()
    assert "--fresh" in str(error.value) and "\n" not in str(error.value)
    assert path.read_bytes() == before
    with Journal(tmp_path, plan(n=N), ["a"], fresh=True) as journal:
        assert journal.samples == {}
