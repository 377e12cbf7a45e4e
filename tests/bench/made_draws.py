"""A plan, a task whose right answers are known, and a shard that draws without a model: a text follows from a seed."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from patchkit.bench.journal import DrawPlan
from patchkit.bench.liveness import RequiredCounters
from patchkit.bench.shards import Drawing
from patchkit.evals.records import Grade
from patchkit.evals.tasks.base import Problem, Task
from patchkit.gates.events import Drawn, Exit, Loaded, Progress, Sampled
from patchkit.gates.evidence import Hardware, Versions


def plan(mode: str = "baseline", n: int = 3, **changes: object) -> DrawPlan:
    fields: dict[str, object] = {
        "release": "0.20.0",
        "device": "cpu",
        "hardware": Hardware(),
        "versions": Versions(),
        "model": "m",
        "model_digest": "",
        "task": "t",
        "task_digest": "d",
        "mode": mode,
        "n": n,
        "trial": 0,
        "seed": 0,
        "max_tokens": 8,
        "sampling": {},
        "engine": {},
    }
    return DrawPlan(**{**fields, **changes})  # type: ignore[arg-type]


def grade(problem: Problem, text: str) -> Grade:
    """Right where the text ends in an even digit; ``never`` is not graded at all."""
    if problem.reference == "never":
        raise ZeroDivisionError
    return Grade(text[-1] in "02468", answer=text[-1])


def make_task(problems: int, reference: str = "") -> Task:
    made = tuple(
        Problem(id=f"p{number}", chat=f"{number}?", plain=f"{number}?", reference=reference)
        for number in range(problems)
    )
    return Task(name="made", about="", problems=made, grader="made_draws:grade", max_tokens=8, digest="d")


class MadeShard:
    """Draws in a thread; ``dies_after`` so many samples it is gone, once. ``beats``: it was seen at work before."""

    def __init__(
        self,
        dies_after: int | None = None,
        counters: dict[str, Any] | None = None,
        beats: bool = False,
        observed: dict[str, Any] | None = None,
        **engine: Any,
    ) -> None:
        self.dies_after, self.counters, self.beats, self.engine = dies_after, counters, beats, engine
        self.observed = observed
        self.requests: list[Mapping[str, Any]] = []

    def enqueue(self, request: Mapping[str, Any], record: Drawing, *, patience: float) -> Future[Drawing]:
        self.requests.append(request)
        future: Future[Drawing] = Future()
        threading.Thread(target=self._draw, args=(request["draw"], record, future), daemon=True).start()
        return future

    def _draw(self, spec: Mapping[str, Any], record: Drawing, future: Future[Drawing]) -> None:
        record.take(Loaded(run="r", seconds=0.0, engine=self.engine))
        wanted = [(problem, sample) for problem in spec["problems"] for sample in problem["samples"]]
        left, self.dies_after = self.dies_after, None
        for problem, sample in wanted[:left]:
            seed = problem["seed"] + sample
            text = f"{problem['id']} {seed}"
            record.take(
                Sampled(run="r", problem=problem["id"], sample=sample, seed=seed, text=text, tokens=3, finish="stop")
            )
        if self.beats:
            begun = len(wanted[:left])
            counts: dict[str, Any] = {"decode_rows": 2 * begun, "decode_steps": 2, "counters": at_work(begun)}
            record.take(
                Progress("r", seconds=1.0, tokens=3 * begun, begun=begun, finished=begun, unfinished=0, **counts)
            )
        if left is None:
            counts = {"tokens": 3 * len(wanted), "decode_rows": 2 * len(wanted), "decode_steps": 2}
            record.take(Drawn("r", seconds=2.0, counters=self.counters, observed=self.observed, **counts))
            record.take(Exit(run="r", code=0))
        else:
            record.take(Exit(run="r", signal="SIGKILL"))
        future.set_result(record)


def at_work(samples: int) -> dict[str, Any]:
    """What a runtime counts that was at work on so many samples of three tokens."""
    return {
        "rows": 2 * samples,
        "lost": 0,
        "moved": 9,
        "steady": True,
        "last": 0.5,
    }


REQUIRED = RequiredCounters(
    {"rows": "decode_rows", "lost": "zero", "moved": "positive", "steady": "positive", "last": "any"}
)
