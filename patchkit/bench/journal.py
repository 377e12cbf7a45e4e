"""What is on disk of one draw (a model on a task, in one mode, once), so that a killed run goes on where it was.

A folder holds ``draw.json`` (what is drawn), and files that only grow, a line at a time: ``samples.jsonl``,
``sittings.jsonl``, and ``grades-….jsonl`` for each grader that ever judged them. A line that a kill left unfinished is
cut off when the folder is opened again.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import msgspec
from filelock import FileLock, Timeout

from patchkit.errors import PatchkitError
from patchkit.evals.record import BASELINE, Grade, Sample
from patchkit.files import write_atomically
from patchkit.gates.evidence import Hardware, Versions

Key = tuple[str, int]
Line = TypeVar("Line", bound=msgspec.Struct)


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
        """The seed of a problem's first sample; sample i has i more. Modes share it: their difference is not luck."""
        text = f"{self.seed}/{self.task_digest}/{self.trial}/{problem}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


class Graded(msgspec.Struct, frozen=True):
    """A line of ``grades.jsonl``."""

    problem: str
    sample: int
    grade: Grade


class Sitting(msgspec.Struct, frozen=True, kw_only=True):
    """A line of ``sittings.jsonl``: one process, or several side by side. One is written as it begins, one at its end.

    Attributes:
        shards: how many processes.
        engine: what ``vllm.LLM`` was given in the first of them.
        revision: of a model on the hub.
        seconds, tokens, counters: at the end; None and nothing before it.
        observed: what the runtime's probe saw in each process, at the end; None for one that has none.
        observing: seconds that this took, in the process in which it took longest.
    """

    sitting: int
    shards: int = 1
    engine: dict[str, Any] = {}
    revision: str | None = None
    seconds: float | None = None
    tokens: int = 0
    counters: dict[str, Any] = {}
    observed: list[dict[str, Any] | None] = []
    observing: float = 0.0


class Journal:
    """One draw's folder, open and locked; ``grader`` tells whose grades are asked for."""

    def __init__(
        self, home: Path, plan: DrawPlan, problems: Sequence[str], grader: str = "", fresh: bool = False
    ) -> None:
        self.plan, self.problems, self._fresh = plan, problems, fresh
        self._grades = f"grades-{grader}.jsonl"
        self.folder = home / plan.folder
        self.samples: dict[Key, Sample] = {}
        self.grades: dict[Key, Grade] = {}
        self.sittings: dict[int, Sitting] = {}
        self._lock = FileLock(f"{self.folder}.lock")

    def __enter__(self) -> Journal:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            if self._fresh:
                self.discard()
            self._load()
        except Timeout:
            raise PatchkitError(
                f"another patchkit draws {self.plan.task} ({self.plan.mode}) right now", "wait for it, or stop it"
            ) from None
        except OSError as error:
            raise PatchkitError(f"cannot use {self.folder}: {error.strerror or error}") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lock.release()

    # Reading.

    def _load(self) -> None:
        write_atomically(self.folder / "draw.json", msgspec.json.format(msgspec.json.encode(self.plan)))
        for sample in read_lines(self.folder / "samples.jsonl", Sample):
            self.samples.setdefault((sample.problem, sample.sample), sample)
        for graded in read_lines(self.folder / self._grades, Graded):
            self.grades.setdefault((graded.problem, graded.sample), graded.grade)
        self.sittings = {one.sitting: one for one in read_lines(self.folder / "sittings.jsonl", Sitting)}
        if self.plan.mode != BASELINE:
            self._drop_parts()
        self._drop_orphans()

    def _drop_parts(self) -> None:
        """Forget problems of which only some samples are there.

        With a runtime the samples of a problem learn from each other: they are drawn anew, together.
        """
        parts = {problem for problem in self.problems if 0 < len(self._drawn(problem)) < self.plan.n}
        if parts:
            self.samples = {key: sample for key, sample in self.samples.items() if key[0] not in parts}
            write_atomically(self.folder / "samples.jsonl", b"".join(map(to_line, self.samples.values())))

    def _drop_orphans(self) -> None:
        """Forget grades whose sample is not there: they would be taken for those of the next one."""
        kept = {key: grade for key, grade in self.grades.items() if key in self.samples}
        if len(kept) < len(self.grades):
            lines = (Graded(*key, grade) for key, grade in kept.items())
            write_atomically(self.folder / self._grades, b"".join(map(to_line, lines)))
        self.grades = kept

    def _drawn(self, problem: str) -> list[int]:
        return [sample for sample in range(self.plan.n) if (problem, sample) in self.samples]

    # What is left to do.

    def missing(self) -> dict[str, list[int]]:
        """Samples of each problem that are not there yet; a problem that lacks none is left out."""
        all_of_them = range(self.plan.n)
        lacking = {problem: [i for i in all_of_them if (problem, i) not in self.samples] for problem in self.problems}
        return {problem: samples for problem, samples in lacking.items() if samples}

    def ungraded(self) -> list[Sample]:
        """Samples that nobody has judged yet."""
        return [sample for key, sample in self.samples.items() if key not in self.grades]

    @property
    def complete(self) -> bool:
        """Everything is drawn and graded."""
        return not self.missing() and not self.ungraded()

    @property
    def next_sitting(self) -> int:
        """The number of the sitting that begins now."""
        return max([*self.sittings, *(sample.sitting for sample in self.samples.values())], default=-1) + 1

    # Writing.

    def add_samples(self, samples: Iterable[Sample]) -> None:
        """Keep samples; one that is there already is passed over."""
        new = {key: one for one in samples if (key := (one.problem, one.sample)) not in self.samples}
        self._append("samples.jsonl", new.values())
        self.samples |= new

    def add_grades(self, graded: Iterable[Graded]) -> None:
        """Keep grades. Where the grader failed, only for now: the next run asks it again."""
        new = list(graded)
        self._append(self._grades, [one for one in new if not failed(one.grade)])
        self.grades |= {(one.problem, one.sample): one.grade for one in new}

    def add_sitting(self, sitting: Sitting) -> None:
        """A sitting begins, or came to its end."""
        self._append("sittings.jsonl", [sitting])
        self.sittings[sitting.sitting] = sitting

    def discard(self) -> None:
        """Forget everything."""
        for path in (*self.folder.glob("grades-*.jsonl"), *self.folder.glob("s*.jsonl")):
            path.unlink()
        self.samples, self.grades, self.sittings = {}, {}, {}

    def _append(self, name: str, lines: Iterable[msgspec.Struct]) -> None:
        content = b"".join(map(to_line, lines))
        if not content:
            return
        try:
            with (self.folder / name).open("ab") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise PatchkitError(
                f"cannot write {self.folder / name}: {error.strerror or error}",
                "free some room; the run can be resumed",
            ) from error


def to_line(line: msgspec.Struct) -> bytes:
    """One record a line."""
    return msgspec.json.encode(line) + b"\n"


def read_lines(path: Path, kind: type[Line]) -> list[Line]:
    """Every whole line; a torn one at the end is cut off the file, so that the next one stands on a line of its own.

    Raises:
        PatchkitError: a line that is not the last is broken, which no kill explains.
    """
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        write_atomically(path, whole)
    found = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            found.append(msgspec.json.decode(line, type=kind))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise PatchkitError(
                f"{path}: line {number}: {error}", "run again with --fresh, which discards it"
            ) from None
    return found


def failed(grade: Grade) -> bool:
    """It was the grader that failed, not the sample; see ``patchkit.evals.grading``."""
    return grade.why.startswith("grader:")
