"""Draws the samples that a journal lacks: spreads problems over shards, stores and grades samples as they arrive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from msgspec.structs import replace

from patchkit.bench.journal import Graded, Journal, Session
from patchkit.bench.liveness import Liveness, RequiredCounters, check_liveness, merge_counters
from patchkit.bench.progress import ProgressDisplay
from patchkit.bench.shards import DrawError, Drawing, Shard
from patchkit.evals.grader_pool import Grading
from patchkit.evals.records import BASELINE, Grade, Sample
from patchkit.evals.tasks.base import Task
from patchkit.gates.events import Drawn, Loaded, Progress, RunEvent, Sampled

PATIENCE = 900.0  # seconds without a message; loading a large model takes longest
LOOK = 0.5  # seconds


@dataclass
class DrawRequest:
    """What a draw sends to the shards, without the problems."""

    fields: dict[str, Any]
    shards: Sequence[Shard]
    required: Liveness = field(default_factory=RequiredCounters)  # what the runtime's counters must be
    drawings: list[Drawing] = field(default_factory=list)


def draw(journal: Journal, task: Task, request: DrawRequest, grading: Grading, progress: ProgressDisplay) -> None:
    """Draw and grade all that the journal lacks.

    Raises:
        DrawError: a worker died, hung or raised: what it had finished is kept. Or the runtime was not at work: then
            nothing of this draw is kept.
    """
    inbox: SimpleQueue[Any] = SimpleQueue()
    collector = Collector(journal, task, grading, inbox, request.required)
    for sample in journal.ungraded():
        collector.grade(sample)
    missing = journal.missing()
    shares = [dict(list(missing.items())[start :: len(request.shards)]) for start in range(len(request.shards))]
    used = [(shard, part) for shard, part in zip(request.shards, shares, strict=True) if part]
    request.drawings = [Drawing(inbox) for _ in used]
    futures = [
        shard.enqueue(request_for(request, task, part, journal), drawing, patience=PATIENCE)
        for (shard, part), drawing in zip(used, request.drawings, strict=True)
    ]
    while not all(future.done() for future in futures) or not inbox.empty():
        collector.collect()
        progress.show(journal, request.drawings)
    for future in futures:
        future.result()  # PatchkitError if no worker could be started
    broken = [drawing.broken for drawing in request.drawings if drawing.broken]
    if broken:
        raise DrawError(broken[0])
    if request.drawings:
        collector.finish(request.drawings)
    while collector.pending:
        collector.collect()
        progress.show(journal, request.drawings)


def request_for(request: DrawRequest, task: Task, part: Mapping[str, list[int]], journal: Journal) -> dict[str, Any]:
    """The request for some of the problems; see docs/worker-protocol.md."""
    by_id = {problem.id: problem for problem in task.problems}
    problems = [
        {
            "id": name,
            "chat": by_id[name].chat,
            "plain": by_id[name].plain,
            "seed": journal.plan.seed_of(name),
            "samples": samples,
        }
        for name, samples in part.items()
    ]
    return {**request.fields, "draw": {**request.fields["draw"], "problems": problems}}


class Collector:
    """Passes samples to the journal and to the graders, and grades to the journal.

    With a runtime, a sample is held until a later message of its process shows that the runtime was at work.
    """

    def __init__(
        self, journal: Journal, task: Task, grading: Grading, inbox: SimpleQueue[Any], required: Liveness
    ) -> None:
        self._journal, self._grading, self._inbox, self._required = journal, grading, inbox, required
        self._problems = {problem.id: problem for problem in task.problems}
        self._held: dict[int, list[Sample]] = {}
        self._session = Session(session=journal.next_session)
        self._shards = 0
        self.pending = 0

    def grade(self, sample: Sample) -> None:
        """Submit a sample for grading; its grade arrives in the inbox."""
        self.pending += 1
        future = self._grading.submit(self._problems[sample.problem], sample.text)
        future.add_done_callback(lambda done: self._inbox.put((sample, done)))

    def collect(self) -> None:
        """Wait up to ``LOOK`` seconds for a message, then process all that have arrived."""
        samples: list[Sample] = []
        grades: list[tuple[Sample, Future[Grade]]] = []
        for sender, message in self._take():
            if isinstance(sender, Sample):
                grades.append((sender, message))
            else:
                samples += self._handle(sender, message)
        self._journal.add_samples(samples)
        for sample in samples:
            self.grade(sample)
        self.pending -= len(grades)
        self._journal.add_grades([Graded(sample.problem, sample.sample, done.result()) for sample, done in grades])

    def finish(self, drawings: Sequence[Drawing]) -> None:
        """Record the end of the session: everything is drawn."""
        drawn = [drawing.drawn for drawing in drawings if drawing.drawn]
        self._session = replace(
            self._session,
            engine=drawings[0].loaded.engine if drawings[0].loaded else {},
            seconds=max(one.seconds for one in drawn),  # in parallel they took as long as the slowest
            tokens=sum(one.tokens for one in drawn),
            counters=merge_counters(one.counters or {} for one in drawn),
            observed=[] if self._journal.plan.mode == BASELINE else [one.observed for one in drawn],
            observing=max(one.observing for one in drawn),
        )
        self._journal.add_session(self._session)

    def _handle(self, drawing: Drawing, event: RunEvent) -> list[Sample]:
        """The samples that may be kept after this event of a process."""
        held = self._held.setdefault(id(drawing), [])
        if isinstance(event, Loaded):
            self._begin(event)
        elif isinstance(event, Sampled):
            drawing.rows += 1
            held.append(sample_of(event, self._session.session))
        elif isinstance(event, Progress):
            self._check(event, event.begun)
        elif isinstance(event, Drawn):
            self._check(event, drawing.rows)
        if isinstance(event, Progress | Drawn) or self._journal.plan.mode == BASELINE:
            self._held[id(drawing)] = []
            return held
        return []

    def _begin(self, loaded: Loaded) -> None:
        """One more process of this session is ready; its model must be the one that earlier sessions drew from."""
        for earlier in self._journal.sessions.values():
            if earlier.revision != loaded.revision:
                what = f"the model was {earlier.revision} when this draw began, and is {loaded.revision} now"
                raise DrawError(f"{what}: draw again with --fresh")
        self._shards += 1
        self._session = replace(self._session, shards=self._shards, engine=loaded.engine, revision=loaded.revision)
        self._journal.add_session(self._session)

    def _check(self, counts: Progress | Drawn, rows: int) -> None:
        if self._journal.plan.mode == BASELINE:
            return
        try:
            check_liveness(counts.counters or {}, counts, rows, self._required)
        except DrawError:
            self._journal.discard()  # samples drawn without the runtime are worse than none
            raise

    def _take(self) -> list[Any]:
        items: list[Any] = []
        with suppress(Empty):
            items.append(self._inbox.get(timeout=LOOK))
            while True:
                items.append(self._inbox.get_nowait())
        return items


def sample_of(event: Sampled, session: int) -> Sample:
    """A worker's event as a row of the journal."""
    return Sample(
        problem=event.problem,
        sample=event.sample,
        seed=event.seed,
        text=event.text,
        tokens=event.tokens,
        finish=event.finish,
        seconds=event.seconds,
        session=session,
    )
