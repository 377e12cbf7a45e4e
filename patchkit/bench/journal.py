"""The files of one draw (a model on a task, in one mode, once), so that a killed run can be resumed.

A folder holds ``draw.json`` (what is drawn), and ``draw.sqlite``: its samples, its sessions, and the grades of each
grader that ever judged them. Every change is one transaction, and is on the disk before the next step.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import msgspec
from filelock import FileLock, Timeout

from patchkit.errors import PatchkitError
from patchkit.evals.records import BASELINE, Grade, Sample
from patchkit.files import write_atomically
from patchkit.gates.evidence import Hardware, Versions

Key = tuple[str, int]
Record = TypeVar("Record", bound=msgspec.Struct)

# Readers need not wait for the writer (WAL), and what was committed outlives a power cut (FULL: one sync a commit).
SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
CREATE TABLE IF NOT EXISTS sessions (session INTEGER PRIMARY KEY, record BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS samples (
    problem TEXT NOT NULL, sample INTEGER NOT NULL, record BLOB NOT NULL, PRIMARY KEY (problem, sample)
);
CREATE TABLE IF NOT EXISTS grades (
    grader TEXT NOT NULL, problem TEXT NOT NULL, sample INTEGER NOT NULL, record BLOB NOT NULL,
    PRIMARY KEY (grader, problem, sample),
    FOREIGN KEY (problem, sample) REFERENCES samples ON DELETE CASCADE
);
"""
TABLES = {"sessions", "samples", "grades"}


class DrawPlan(msgspec.Struct, frozen=True, kw_only=True):
    """All that a sample depends on. How problems are spread over processes is not part of it.

    Attributes:
        tree: git's hash of the runtime's files, as in the evidence of gates; empty for the baseline.
    """

    release: str
    device: str
    hardware: Hardware
    versions: Versions
    model: str
    model_digest: str
    task: str
    task_digest: str
    mode: str
    n: int
    trial: int
    seed: int
    max_tokens: int
    sampling: dict[str, Any]
    engine: dict[str, Any]
    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    tree: str = ""

    @property
    def folder(self) -> str:
        """A name for people, and a digest of the whole."""
        parts = (Path(self.model).name, self.task, self.mode, f"n{self.n}", f"trial{self.trial + 1}")
        named = re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(parts)).strip("-.")
        return f"{named[:120]}-{hashlib.sha256(msgspec.json.encode(self, order='sorted')).hexdigest()[:12]}"

    def seed_of(self, problem: str) -> int:
        """The seed of a problem's first sample; sample i has i more. All modes share it."""
        text = f"{self.seed}/{self.task_digest}/{self.trial}/{problem}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


class Graded(msgspec.Struct, frozen=True):
    """A grade, and the sample that it is of."""

    problem: str
    sample: int
    grade: Grade


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One process, or several in parallel. Written as it begins, and again at its end.

    Attributes:
        shards: how many processes.
        engine: what ``vllm.LLM`` was given in the first of them.
        revision: of a model on the hub.
        seconds, tokens, counters: at the end; None and nothing before it.
        observed: what the runtime's probe saw in each process, at the end; None for one that has none.
        observing: seconds that this took, in the process in which it took longest.
    """

    session: int
    shards: int = 1
    engine: dict[str, Any] = {}
    revision: str | None = None
    seconds: float | None = None
    tokens: int = 0
    counters: dict[str, Any] = {}
    observed: list[dict[str, Any] | None] = []
    observing: float = 0.0


class Journal:
    """One draw's folder, open and locked; ``grader`` selects the grader whose grades are read."""

    def __init__(
        self, home: Path, plan: DrawPlan, problems: Sequence[str], grader: str = "", fresh: bool = False
    ) -> None:
        self.plan, self.problems, self._grader, self._fresh = plan, problems, grader, fresh
        self.folder = home / plan.folder
        self.path = self.folder / "draw.sqlite"
        self.samples: dict[Key, Sample] = {}
        self.grades: dict[Key, Grade] = {}
        self.sessions: dict[int, Session] = {}

    def __enter__(self) -> Journal:
        with ExitStack() as opened:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                opened.enter_context(FileLock(f"{self.folder}.lock", timeout=0))
                self._prepare()
                self._database = opened.enter_context(closing(sqlite3.connect(self.path)))
                self._load()
            except Timeout:
                raise PatchkitError(
                    f"another patchkit draws {self.plan.task} ({self.plan.mode}) right now", "wait for it, or stop it"
                ) from None
            except (OSError, sqlite3.OperationalError) as error:
                raise PatchkitError(f"cannot use {self.folder}: {getattr(error, 'strerror', error)}") from error
            except (sqlite3.Error, msgspec.DecodeError) as error:  # broken in a way that no kill explains
                raise PatchkitError(f"{self.path}: {error}", "run again with --fresh, which discards it") from error
            self._opened = opened.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._opened.close()

    # Reading.

    def _prepare(self) -> None:
        if self._fresh:
            shutil.rmtree(self.folder)
        elif any(self.folder.glob("*.jsonl")):
            raise PatchkitError(
                f"{self.folder} is of an earlier patchkit, which kept samples as lines of text",
                "run again with --fresh, which discards it",
            )
        write_atomically(self.folder / "draw.json", msgspec.json.format(msgspec.json.encode(self.plan)))

    def _load(self) -> None:
        self._check_tables()
        self._database.executescript(SCHEMA)
        if self.plan.mode != BASELINE:
            self._drop_parts()
        samples = self._read(Sample, "SELECT record FROM samples ORDER BY rowid")
        grades = self._read(Graded, "SELECT record FROM grades WHERE grader = ?", self._grader)
        sessions = self._read(Session, "SELECT record FROM sessions")
        self.samples = {(one.problem, one.sample): one for one in samples}
        self.grades = {(one.problem, one.sample): one.grade for one in grades}
        self.sessions = {one.session: one for one in sessions}

    def _check_tables(self) -> None:
        there = {name for (name,) in self._database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if there - TABLES:
            raise PatchkitError(
                f"{self.path} is of an earlier patchkit, which named its tables otherwise",
                "finish that run with the earlier one, or run again with --fresh, which discards it",
            )

    def _read(self, kind: type[Record], query: str, *values: str) -> Iterator[Record]:
        return (msgspec.json.decode(record, type=kind) for (record,) in self._database.execute(query, values))

    def _drop_parts(self) -> None:
        """Delete the samples and grades of problems of which some samples are missing.

        With a runtime the samples of a problem learn from each other: they are drawn again, together.
        """
        parts = "SELECT problem FROM samples GROUP BY problem HAVING COUNT(*) < ?"
        with self._database:
            self._database.execute(f"DELETE FROM samples WHERE problem IN ({parts})", (self.plan.n,))

    # What is left to do.

    def missing(self) -> dict[str, list[int]]:
        """The numbers of the missing samples of each problem; a complete problem is left out."""
        all_of_them = range(self.plan.n)
        lacking = {problem: [i for i in all_of_them if (problem, i) not in self.samples] for problem in self.problems}
        return {problem: samples for problem, samples in lacking.items() if samples}

    def ungraded(self) -> list[Sample]:
        """Samples without a grade."""
        return [sample for key, sample in self.samples.items() if key not in self.grades]

    @property
    def complete(self) -> bool:
        """Everything is drawn and graded."""
        return not self.missing() and not self.ungraded()

    @property
    def next_session(self) -> int:
        """The number of the session that begins now."""
        return max([*self.sessions, *(sample.session for sample in self.samples.values())], default=-1) + 1

    # Writing.

    def add_samples(self, samples: Iterable[Sample]) -> None:
        """Store samples; one that is stored already is skipped."""
        new = {key: one for one in samples if (key := (one.problem, one.sample)) not in self.samples}
        rows = ((*key, msgspec.json.encode(one)) for key, one in new.items())
        self._write("INSERT INTO samples VALUES (?, ?, ?)", rows)
        self.samples |= new

    def add_grades(self, graded: Iterable[Graded]) -> None:
        """Store grades. A failure of the grader is kept in memory only: the next run grades that sample again."""
        new = list(graded)
        kept = [one for one in new if not failed(one.grade)]
        rows = ((self._grader, one.problem, one.sample, msgspec.json.encode(one)) for one in kept)
        self._write("REPLACE INTO grades VALUES (?, ?, ?, ?)", rows)
        self.grades |= {(one.problem, one.sample): one.grade for one in new}

    def add_session(self, session: Session) -> None:
        """Store a session, as it begins or at its end."""
        self._write("REPLACE INTO sessions VALUES (?, ?)", [(session.session, msgspec.json.encode(session))])
        self.sessions[session.session] = session

    def discard(self) -> None:
        """Delete everything."""
        self._write("DELETE FROM samples", [()])
        self._write("DELETE FROM sessions", [()])
        self.samples, self.grades, self.sessions = {}, {}, {}

    def _write(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """One transaction: all of it is on the disk afterwards, or nothing."""
        try:
            with self._database:
                self._database.executemany(statement, rows)
        except sqlite3.Error as error:
            what = f"cannot write {self.path}: {error}"
            raise PatchkitError(what, "free some disk space; the run can be resumed") from error


def failed(grade: Grade) -> bool:
    """It was the grader that failed, not the sample; see ``patchkit.evals.grader_pool``."""
    return grade.why.startswith("grader:")
