"""Drawing what a journal lacks: problems spread over shards, samples kept and graded as they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from msgspec.structs import replace

from patchkit.bench.at_work import Owed, check_at_work, merge_counters
from patchkit.bench.journal import Graded, Journal, Sitting
from patchkit.bench.progress import Watching
from patchkit.bench.shards import DrawError, Drawing, Shard
from patchkit.evals.grading import Grading
from patchkit.evals.record import BASELINE, Grade, Sample
from patchkit.evals.tasks.base import Task
from patchkit.gates.events import Drawn, Loaded, Progress, RunEvent, Sampled

PATIENCE = 900.0  # seconds without a word: loading a large model is the longest silence there is
LOOK = 0.5  # seconds


@dataclass
class Share:
    """What a draw sends to the shards, but for the problems."""

    request: dict[str, Any]
    shards: Sequence[Shard]
    owed: Owed = field(default_factory=Owed)  # what the runtime's counters must be
    drawings: list[Drawing] = field(default_factory=list)


def draw(journal: Journal, task: Task, share: Share, grading: Grading, watching: Watching) -> None:
    """Draw and grade all that the journal lacks.

    Raises:
        DrawError: a worker died, hung or raised: what it had finished is kept. Or the runtime was not at work: then
            nothing of this draw is.
    """
    inbox: SimpleQueue[Any] = SimpleQueue()
    clerk = Clerk(journal, task, grading, inbox, share.owed)
    for sample in journal.ungraded():
        clerk.grade(sample)
    missing = journal.missing()
    shares = [dict(list(missing.items())[start :: len(share.shards)]) for start in range(len(share.shards))]
    used = [(shard, part) for shard, part in zip(share.shards, shares, strict=True) if part]
    share.drawings = [Drawing(inbox) for _ in used]
    futures = [
        shard.enqueue(request_for(share, task, part, journal), drawing, patience=PATIENCE)
        for (shard, part), drawing in zip(used, share.drawings, strict=True)
    ]
    while not all(future.done() for future in futures) or not inbox.empty():
        clerk.work()
        watching.show(journal, share.drawings)
    for future in futures:
        future.result()  # PatchkitError if no worker could be started
    broken = [drawing.broken for drawing in share.drawings if drawing.broken]
    if broken:
        raise DrawError(broken[0])
    if share.drawings:
        clerk.end(share.drawings)
    while clerk.open:
        clerk.work()
        watching.show(journal, share.drawings)


def request_for(share: Share, task: Task, part: Mapping[str, list[int]], journal: Journal) -> dict[str, Any]:
    """The request for some of the problems; see docs/worker-protocol.md."""
    asked = {problem.id: problem for problem in task.problems}
    problems = [
        {
            "id": name,
            "chat": asked[name].chat,
            "plain": asked[name].plain,
            "seed": journal.plan.seed_of(name),
            "samples": samples,
        }
        for name, samples in part.items()
    ]
    return {**share.request, "draw": {**share.request["draw"], "problems": problems}}


class Clerk:
    """Takes what comes in: samples to the journal and to the graders, grades to the journal.

    With a runtime a sample is held back until a later word of its process shows that the runtime was at work.
    """

    def __init__(self, journal: Journal, task: Task, grading: Grading, inbox: SimpleQueue[Any], owed: Owed) -> None:
        self._journal, self._grading, self._inbox, self._owed = journal, grading, inbox, owed
        self._problems = {problem.id: problem for problem in task.problems}
        self._held: dict[int, list[Sample]] = {}
        self._sitting = Sitting(sitting=journal.next_sitting)
        self._shards = 0
        self.open = 0

    def grade(self, sample: Sample) -> None:
        """Have a sample graded; its grade comes in later."""
        self.open += 1
        future = self._grading.submit(self._problems[sample.problem], sample.text)
        future.add_done_callback(lambda done: self._inbox.put((sample, done)))

    def work(self) -> None:
        """Wait a moment for something to come in, then take all that is there."""
        samples: list[Sample] = []
        grades: list[tuple[Sample, Future[Grade]]] = []
        for sender, said in self._take():
            if isinstance(sender, Sample):
                grades.append((sender, said))
            else:
                samples += self._hear(sender, said)
        self._journal.add_samples(samples)
        for sample in samples:
            self.grade(sample)
        self.open -= len(grades)
        self._journal.add_grades([Graded(sample.problem, sample.sample, done.result()) for sample, done in grades])

    def end(self, drawings: Sequence[Drawing]) -> None:
        """All that was asked for is drawn."""
        drawn = [drawing.drawn for drawing in drawings if drawing.drawn]
        self._sitting = replace(
            self._sitting,
            engine=drawings[0].loaded.engine if drawings[0].loaded else {},
            seconds=max(one.seconds for one in drawn),  # side by side they took as long as the slowest
            tokens=sum(one.tokens for one in drawn),
            counters=merge_counters(one.counters or {} for one in drawn),
            observed=[] if self._journal.plan.mode == BASELINE else [one.observed for one in drawn],
            observing=max(one.observing for one in drawn),
        )
        self._journal.add_sitting(self._sitting)

    def _hear(self, drawing: Drawing, event: RunEvent) -> list[Sample]:
        """What may be kept, now that a process has said this."""
        held = self._held.setdefault(id(drawing), [])
        if isinstance(event, Loaded):
            self._begin(event)
        elif isinstance(event, Sampled):
            drawing.rows += 1
            held.append(sample_of(event, self._sitting.sitting))
        elif isinstance(event, Progress):
            self._check(event, event.begun)
        elif isinstance(event, Drawn):
            self._check(event, drawing.rows)
        if isinstance(event, Progress | Drawn) or self._journal.plan.mode == BASELINE:
            self._held[id(drawing)] = []
            return held
        return []

    def _begin(self, loaded: Loaded) -> None:
        """One more process of this sitting is ready. What it drew with must be what the others drew with."""
        for earlier in self._journal.sittings.values():
            if earlier.revision != loaded.revision:
                what = f"the model was {earlier.revision} when this draw began, and is {loaded.revision} now"
                raise DrawError(f"{what}: draw anew with --fresh")
        self._shards += 1
        self._sitting = replace(self._sitting, shards=self._shards, engine=loaded.engine, revision=loaded.revision)
        self._journal.add_sitting(self._sitting)

    def _check(self, said: Progress | Drawn, rows: int) -> None:
        if self._journal.plan.mode == BASELINE:
            return
        try:
            check_at_work(said.counters or {}, said, rows, self._owed)
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


def sample_of(event: Sampled, sitting: int) -> Sample:
    """A worker's word as a line of the journal."""
    return Sample(
        problem=event.problem,
        sample=event.sample,
        seed=event.seed,
        text=event.text,
        tokens=event.tokens,
        finish=event.finish,
        seconds=event.seconds,
        sitting=sitting,
    )
