"""A server as a place where samples are drawn: it reports what it gets back as a worker does."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from patchkit.bench.server_liveness import grown
from patchkit.bench.shards import Drawing
from patchkit.client import Completion, VLLMClient, side_by_side
from patchkit.errors import PatchkitError
from patchkit.gates.events import Drawn, Exit, Loaded, Progress, Sampled

COUNTED_EVERY = 1.0  # seconds between two looks at the server's counters
RUN = "server"


@dataclass(frozen=True)
class Ask:
    """One request: samples ``first .. first + n - 1`` of a problem."""

    problem: Mapping[str, Any]
    first: int
    n: int


@dataclass
class Tally:
    """What has come back so far."""

    began: float = field(default_factory=time.monotonic)
    tokens: int = 0
    samples: int = 0

    @property
    def decode_rows(self) -> int:
        """Every token of a sample but its first comes from a row of its own in a decode step."""
        return self.tokens - self.samples

    @property
    def seconds(self) -> float:
        return round(time.monotonic() - self.began, 6)


class ServerShard:
    """Draws over HTTP, as many requests at once as the client's limits say."""

    def __init__(self, client: VLLMClient) -> None:
        self._client = client

    def enqueue(self, request: Mapping[str, Any], record: Drawing, *, patience: float) -> Future[Drawing]:
        """Draw; see :class:`patchkit.bench.shards.Shard`. The client's own timeout is its patience."""
        future: Future[Drawing] = Future()
        threading.Thread(target=self._run, args=(request["draw"], record, future), daemon=True).start()
        return future

    def _run(self, spec: Mapping[str, Any], record: Drawing, future: Future[Drawing]) -> None:
        try:
            self._draw(spec, record)
        except PatchkitError as error:
            record.trouble = f"{error.what}; what was drawn is kept, the same command goes on from there"
        except BaseException as error:  # the caller waits for this future
            future.set_exception(error)
            return
        record.take(Exit(run=RUN, code=1 if record.trouble else 0))
        future.set_result(record)

    def _draw(self, spec: Mapping[str, Any], record: Drawing) -> None:
        asks = [ask for problem in spec["problems"] for ask in asks_of(problem, spec["n"])]
        chat = self._has_chat_template(spec, asks[0])
        before = self._counters(spec)
        record.take(Loaded(run=RUN, seconds=0.0, engine={"prompts": "chat template" if chat else "plain"}))
        tally, looked = Tally(), 0.0
        answers = side_by_side(asks, lambda ask: self._ask(spec, ask, chat), self._client.limits.concurrency)
        for ask, found in answers:
            for number, one in enumerate(found):
                tally.tokens += one.tokens or 0
                tally.samples += 1
                record.take(sampled(ask, number, one, tally.seconds))
            if time.monotonic() - looked >= COUNTED_EVERY:
                looked = time.monotonic()
                record.take(self._progress(spec, before, tally, sum(one.n for one in asks)))
        record.take(
            Drawn(
                run=RUN,
                seconds=tally.seconds,
                tokens=tally.tokens,
                decode_rows=tally.decode_rows,
                counters=self._grown(spec, before),
            )
        )

    def _ask(self, spec: Mapping[str, Any], ask: Ask, chat: bool) -> list[Completion]:
        found = self._client.sample(
            prompt_of(ask.problem, chat),
            ask.n,
            seed=ask.problem["seed"] + ask.first,
            max_tokens=spec["max_tokens"],
            runtime=spec["runtime"],
            **spec["sampling"],
        )
        if any(one.tokens is None for one in found):
            raise PatchkitError(
                f"{self._client.url} does not return token ids, by which tokens are counted", "vLLM does"
            )
        return found

    def _has_chat_template(self, spec: Mapping[str, Any], ask: Ask) -> bool:
        """Asked with two tokens of a prompt that is wanted, which also makes the server's first steps, slow ones."""
        chat = Ask(ask.problem, 0, 1)
        short = {**spec, "max_tokens": 2}
        try:
            self._ask(short, chat, True)
            return True
        except PatchkitError as error:
            if "chat template" not in error.what:
                raise
        self._ask(short, chat, False)
        return False

    def _counters(self, spec: Mapping[str, Any]) -> dict[str, Any] | None:
        return self._client.counters() if spec["patched"] else None

    def _grown(self, spec: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any] | None:
        after = self._counters(spec)
        return None if before is None or after is None else grown(before, after)

    def _progress(
        self, spec: Mapping[str, Any], before: Mapping[str, Any] | None, tally: Tally, wanted: int
    ) -> Progress:
        return Progress(
            run=RUN,
            seconds=tally.seconds,
            tokens=tally.tokens,
            begun=tally.samples,
            finished=tally.samples,
            unfinished=wanted - tally.samples,
            decode_rows=tally.decode_rows,
            counters=self._grown(spec, before),
        )


def asks_of(problem: Mapping[str, Any], n: int) -> list[Ask]:
    """One request for a problem if all its samples are wanted; else one for each sample, with its seed among n."""
    wanted = problem["samples"]
    if wanted == list(range(n)):
        return [Ask(problem, 0, n)]
    return [Ask(problem, sample, 1) for sample in wanted]


def prompt_of(problem: Mapping[str, Any], chat: bool) -> Any:
    """A problem as messages, or as the text to continue where the model has no chat template."""
    return [{"role": "user", "content": problem["chat"]}] if chat else problem["plain"]


def sampled(ask: Ask, number: int, found: Completion, seconds: float) -> Sampled:
    """A sample that came back, as a worker reports one."""
    return Sampled(
        run=RUN,
        problem=ask.problem["id"],
        sample=ask.first + number,
        seed=ask.problem["seed"] + ask.first + number,
        text=found.text,
        tokens=found.tokens or 0,
        finish=found.finish,
        seconds=round(seconds, 3),
    )
