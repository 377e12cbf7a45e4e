"""Drawing what a journal lacks: problems spread over shards, samples kept and graded as they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from patchkit.bench.at_work import check_at_work, merge_counters
from patchkit.bench.journal import Graded, Journal, Sitting
from patchkit.bench.progress import Watching
from patchkit.bench.shards import DrawError, Drawing, Shard
from patchkit.evals.grading import Grading
from patchkit.evals.record import BASELINE, Sample
from patchkit.evals.tasks.base import Task
from patchkit.gates.events import Sampled

PATIENCE = 900.0  # seconds without a word: loading a large model is the longest silence there is
LOOK = 0.5  # seconds


@dataclass
class Share:
    """What a draw sends to the shards, but for the problems."""

    request: dict[str, Any]
    shards: Sequence[Shard]
    bound: str = ""  # the runtime's setting that must be as large as the number of problems
    drawings: list[Drawing] = field(default_factory=list)


def draw(journal: Journal, task: Task, share: Share, grading: Grading, watching: Watching) -> None:
    """Draw and grade all that the journal lacks.

    Raises:
        DrawError: a worker died, hung or raised: what it had finished is kept. Or the runtime was not at work: what
            was drawn without it is discarded.
    """
    inbox: SimpleQueue[Any] = SimpleQueue()
    clerk = Clerk(journal, task, grading, inbox)
    for sample in journal.ungraded():
        clerk.grade(sample)
    missing = journal.missing()
    if not missing and not clerk.open:
        return
    sitting = journal.next_sitting
    shares = [dict(list(missing.items())[start :: len(share.shards)]) for start in range(len(share.shards))]
    used = [(shard, part) for shard, part in zip(share.shards, shares, strict=True) if part]
    share.drawings = [Drawing(inbox) for _ in used]
    futures = [
        shard.enqueue(request_for(share, task, part, journal), drawing, patience=PATIENCE)
        for (shard, part), drawing in zip(used, share.drawings, strict=True)
    ]
    while clerk.open or not all(future.done() for future in futures) or not inbox.empty():
        clerk.work(sitting)
        watching.show(journal, share.drawings)
    for future in futures:
        future.result()  # PatchkitError if no worker could be started
    broken = [drawing.broken for drawing in share.drawings if drawing.broken]
    if broken:
        raise DrawError(broken[0])
    if share.drawings:
        journal.end_sitting(judged(journal, sum_up(sitting, share.drawings)))


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
    told = share.request["draw"]
    bound = {share.bound: len(problems)} if share.bound else {}
    return {**share.request, "draw": {**told, "runtime": {**bound, **told["runtime"]}, "problems": problems}}


def judged(journal: Journal, sitting: Sitting) -> Sitting:
    """A sitting in which the runtime, if there is one, was at work; samples drawn without it are worse than none."""
    if journal.plan.mode != BASELINE:
        samples = sum(sample.sitting == sitting.sitting for sample in journal.samples.values())
        try:
            check_at_work(sitting.counters, samples, sitting.tokens, journal.plan.settings.get("beta"))
        except DrawError:
            journal.discard()
            raise
    return sitting


class Clerk:
    """Takes what comes in: samples to the journal and to the graders, grades to the journal."""

    def __init__(self, journal: Journal, task: Task, grading: Grading, inbox: SimpleQueue[Any]) -> None:
        self._journal, self._grading, self._inbox = journal, grading, inbox
        self._problems = {problem.id: problem for problem in task.problems}
        self.open = 0

    def grade(self, sample: Sample) -> None:
        """Have a sample graded; its grade comes in later."""
        self.open += 1
        future = self._grading.submit(self._problems[sample.problem], sample.text)
        future.add_done_callback(lambda done: self._inbox.put((sample, done)))

    def work(self, sitting: int) -> None:
        """Wait a moment for something to come in, then take all that is there."""
        samples, grades = [], []
        for item in self._take():
            if isinstance(item, Sampled):
                samples.append(sample_of(item, sitting))
            elif isinstance(item, tuple):
                sample, done = item
                grades.append(Graded(sample.problem, sample.sample, done.result()))
        self._journal.add_samples(samples)
        self._journal.add_grades(grades)
        self.open -= len(grades)
        for sample in samples:
            self.grade(sample)

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


def sum_up(sitting: int, drawings: Sequence[Drawing]) -> Sitting:
    """Shards side by side took as long as the slowest; what they counted adds up."""
    drawn = [drawing.drawn for drawing in drawings if drawing.drawn]
    counters = merge_counters(one.counters or {} for one in drawn)
    return Sitting(sitting, max(one.seconds for one in drawn), sum(one.tokens for one in drawn), counters)
