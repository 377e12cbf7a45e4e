"""The worker's events, one record each; see docs/worker-protocol.md."""

from __future__ import annotations

import json
from typing import Any, Literal

import msgspec

from patchkit.plural import counted


class BatchShape(msgspec.Struct, frozen=True):
    """The batch of one step, as the worker counted it from the scheduler's output."""

    requests: int = 0
    decode_rows: int = 0
    prefill_tokens: int = 0
    recomputed_tokens: int = 0
    recomputed_alone: int = 0
    decode_rows_before: int = 0

    def __str__(self) -> str:
        recomputed = f", {counted(self.recomputed_tokens, 'recomputed token')}" if self.recomputed_tokens else ""
        rows = f"{counted(self.decode_rows, 'decode row')} after {self.decode_rows_before}"
        return (
            f"{counted(self.requests, 'request')}: {rows}, {counted(self.prefill_tokens, 'prefill token')}{recomputed}"
        )


class Event(msgspec.Struct, frozen=True, tag_field="event", tag=str.lower):
    """One line from the worker. Unknown fields are ignored, so that a worker may send more."""


class Ready(Event, frozen=True):
    """vLLM is imported; ``runner``: which model runner is asked for, ``replaced``: what of it is not vLLM's own."""

    vllm: str
    torch: str
    python: str
    transformers: str | None = None
    device: str = "cpu"
    gpu: str | None = None
    cuda: str | None = None
    seconds: float = 0.0
    runner: str = "v1"
    replaced: list[str] = []


class Started(Event, frozen=True):
    """A run is forked."""

    run: str
    pid: int


class SamplingCheck(msgspec.Struct, frozen=True):
    """How a step's tokens were drawn, row by row: ``checked`` rows, of which ``greedy`` took their highest logit and
    the others what vLLM's sampler drew for them; ``lone`` rows had one token to choose from. ``unlike``: the first row
    that is not as it must be, as ``{"row", "what"}``.
    """

    checked: int
    greedy: int
    drawn: int
    lone: int = 0
    unlike: dict[str, Any] | None = None


class Step(Event, frozen=True, rename={"pass_": "pass"}):
    """One model step; ``observed``: its probe's report; ``poisoned``: whether the probe poisoned buffers."""

    run: str
    pass_: str
    step: int
    shape: BatchShape
    call: int = 0
    repeat: int = 0
    install: int = 0
    runtime: dict[str, float | bool | None] | None = None
    sampling: SamplingCheck | None = None
    observed: dict[str, Any] | None = None
    poisoned: bool = False

    def of(self, counter: str) -> float:
        """A counter of the runtime over this step; one it does not have counts as zero."""
        return (self.runtime or {}).get(counter) or 0

    def __str__(self) -> str:
        return f"at step {self.step} of call {self.call} ({self.shape})"


Logprobs = list[list[tuple[int, float | None]] | None]


class Output(msgspec.Struct, frozen=True):
    """One sample of one prompt; ``logprobs``: of each of its tokens and ``prompt_logprobs``: of each of the prompt's,
    pairs of a token and its log-probability (null where that is not finite), if requested.
    """

    prompt: int
    sample: int
    token_ids: list[int]
    text: str = ""
    finish: str | None = None
    stopped_by: str | int | None = None
    correct: bool | None = None
    logprobs: Logprobs | None = None
    prompt_logprobs: Logprobs | None = None


class CallResult(msgspec.Struct, frozen=True):
    """One ``generate()``; ``skipped``: number of each group whose feature the environment lacks, and why."""

    outputs: list[Output]
    seconds: float = 0.0
    generated_tokens: int = 0
    skipped: dict[int, str] = {}


class StreamDelays(msgspec.Struct, frozen=True):
    """The random delays of a stream in a pass; ``of_runtime``: code of the runtime entered it, and it is not stream 0,
    the main one.
    """

    stream: int
    of_runtime: bool
    delays: int
    milliseconds: float


class Pass(msgspec.Struct, frozen=True, rename={"pass_": "pass"}):
    """All calls of a part, once, with or without the runtime; ``left``: what it left behind, null if not examined;
    ``delays``: of the streams that were entered, null in a pass without delays.
    """

    pass_: str
    seconds: float
    generated_tokens: int
    calls: list[CallResult]
    repeat: int = 0
    install: int = 0
    counters: dict[str, Any] | None = None
    observed: dict[str, Any] | None = None
    left: list[dict[str, Any]] | None = None
    delays: list[StreamDelays] | None = None


class Independence(msgspec.Struct, frozen=True, rename={"pass_": "pass"}):
    """A watched prompt's sampling distributions, alone against in company."""

    pass_: str
    prompt: int
    positions: int
    max_total_variation: float | None = None
    at: int | None = None


class Checked(msgspec.Struct, frozen=True):
    """One of a runtime's own checks: whether it held, null where it was skipped, and why not."""

    name: str
    held: bool | None
    reason: str = ""
    seconds: float = 0.0


class Exchange(msgspec.Struct, frozen=True):
    """One call of a client, answered by a server.

    Attributes:
        outputs: of the server, ``expected``: of ``LLM()`` with the same runtime and seeds, if the call can be compared.
        before, after: the runtime's counters, of each worker.
        status, error: of the first request that was refused.
        health: HTTP status of the server's health afterwards; None if it did not answer.
    """

    name: str
    outputs: list[Output] = []
    expected: list[Output] | None = None
    before: list[dict[str, Any]] = []
    after: list[dict[str, Any]] = []
    status: int | None = None
    error: str = ""
    health: int | None = None
    seconds: float = 0.0


class Result(Event, frozen=True):
    """The result of a run; ``runners``: classes of the model runners that its engines had."""

    run: str
    passes: list[Pass]
    load_seconds: float = 0.0
    independence: list[Independence] | None = None
    checks: list[Checked] = []
    exchanges: list[Exchange] = []
    log: list[str] = []
    runners: list[str] = []


class Loaded(Event, frozen=True):
    """The engine of a draw or a measurement is loaded.

    Attributes:
        engine: of a draw what ``vllm.LLM`` was given, of a measurement what it made of that.
        revision: of a model on the hub.
        runners: classes of the model runners, of a measurement.
    """

    run: str
    seconds: float
    engine: dict[str, Any]
    revision: str | None = None
    runners: list[str] = []


class Sampled(Event, frozen=True):
    """A sample of a draw is finished, ``seconds`` after the start of ``generate()``."""

    run: str
    problem: str
    sample: int
    seed: int
    text: str
    tokens: int
    finish: str | None = None
    seconds: float = 0.0


class Progress(Event, frozen=True):
    """How far a draw is: tokens of all samples so far, samples with at least one, finished, and not yet.

    ``decode_rows``, and ``decode_steps`` with any of them, are the worker's own counts, to compare the runtime's
    with.
    """

    run: str
    seconds: float
    tokens: int
    begun: int
    finished: int
    unfinished: int
    steps: int = 0
    decode_rows: int = 0
    decode_steps: int = 0
    counters: dict[str, Any] | None = None


class Drawn(Event, frozen=True):
    """A draw is over: seconds of ``generate()``, decode rows, and the runtime's counters if it was installed.

    ``observed`` is the report of the runtime's probe, which took ``observing`` of the ``seconds``.
    """

    run: str
    seconds: float
    tokens: int
    steps: int = 0
    decode_rows: int = 0
    decode_steps: int = 0
    counters: dict[str, Any] | None = None
    observed: dict[str, Any] | None = None
    observing: float = 0.0


class ProfileRow(msgspec.Struct, frozen=True):
    """A kernel on the device or an operation on the host: microseconds of its own and calls, a step.

    ``stream`` of the device, counted from 1; older evidence has none.
    """

    name: str
    where: Literal["device", "host"]
    microseconds: float
    calls: float
    stream: int | None = None


class StepTime(msgspec.Struct, frozen=True):
    """Where a step's time goes: microseconds that ``device`` and ``host`` were busy, and the longest rows of either.

    ``streams``: of ``device``, those of each stream, vLLM's model on the first; older evidence has none.
    """

    device: float
    host: float
    rows: list[ProfileRow]
    streams: list[float] = []


class Memory(msgspec.Struct, frozen=True):
    """Bytes of one process, ``used`` after a run and at its ``peak``; see ``patchkit/worker/memory.py``."""

    used: int
    peak: int


class Measured(Event, frozen=True):
    """One run of an engine that is measured; ``before`` and ``after``: the runtime's counters, if it has one.

    ``cpu_seconds``: how long its process was on a core, all threads together.
    """

    run: str
    seconds: float
    tokens: int
    steps: int
    decode_rows: int
    decode_steps: int
    memory: Memory
    cpu_seconds: float = 0.0
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    profile: StepTime | None = None


class Error(Event, frozen=True, rename={"pass_": "pass"}):
    """An exception inside the run; ``faulted_at``: the step after which the last fault was injected, if in mid-run.

    ``returned_tokens`` were returned to the caller since the pass began, or since that fault; ``async_scheduling``:
    whether vLLM schedules a batch before the tokens of the one before are known.
    """

    run: str
    type: str
    message: str
    where: str | None = None
    pass_: str | None = None
    call: int | None = None
    step: int | None = None
    shape: BatchShape | None = None
    returned_tokens: int | None = None
    faulted_at: int | None = None
    async_scheduling: bool = False
    traceback: str = ""


class Exit(Event, frozen=True):
    """The run is over."""

    run: str
    code: int | None = None
    signal: int | str | None = None
    seconds: float = 0.0
    last_words: str | list[str] = ""


RunEvent = Step | Result | Loaded | Sampled | Progress | Drawn | Measured | Error | Exit
AnyEvent = Ready | Started | RunEvent


def read_event(line: str) -> AnyEvent:
    """One line as an event, ``ValueError`` for anything else. Figures may be NaN, which strict JSON does not allow."""
    event: AnyEvent = msgspec.convert(json.loads(line), AnyEvent)
    return event
