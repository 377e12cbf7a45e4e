"""Draws n samples of many problems in one ``generate()``, in the forked child; reports each as it finishes."""

import time
from dataclasses import dataclass
from itertools import islice
from typing import Any

from patchkit_worker.channel import Channel
from patchkit_worker.engine import make_engine
from patchkit_worker.engine_sizing import engine_settings
from patchkit_worker.observe import Batch, Owners, engine_of
from patchkit_worker.probe import where_in
from patchkit_worker.prompts import render
from patchkit_worker.runners import Adapter
from patchkit_worker.runtime import describe, install
from patchkit_worker.sample_probe import SampleProbeRunner
from transformers import AutoTokenizer
from vllm import LLM, SamplingParams

PROGRESS_EVERY = 1.0  # seconds


@dataclass(frozen=True)
class DrawPrompt:
    """One prompt as the engine gets it: samples ``first .. first + n - 1`` of a problem."""

    problem: str
    token_ids: list[int]
    first: int
    n: int
    seed: int


def run_draw(request: dict[str, Any], channel: Channel) -> int:
    """Draw, and send the events that docs/worker-protocol.md lists; returns the exit code."""
    try:
        channel.send("drawn", run=request["run"], **draw(request, channel))
    except Exception as error:  # any failure is reported to the caller
        fields = describe(error, request.get("tree"))
        where = where_in(request.get("probe"), error) or fields["where"]
        channel.send("error", run=request["run"], **{**fields, "where": where})
        return 1
    return 0


def draw(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """One engine, one ``generate()`` over all problems."""
    spec, began = request["draw"], time.monotonic()
    tokenizer = AutoTokenizer.from_pretrained(request["model"])
    prompts = [
        one for problem in spec["problems"] for one in prompts_of(problem, render(tokenizer, problem), spec["n"])
    ]
    sizes = [(len(prompt.token_ids), prompt.n) for prompt in prompts]
    settings = engine_settings(
        request["model"], request["device"], sizes, spec["max_tokens"], spec["engine"], spec.get("neighbours", 1)
    )
    llm = make_engine(request["model"], request["device"], settings)
    warm_up(llm, prompts[0], spec["sampling"])
    engine = engine_of(llm)
    steps = StepCounter(Batch(engine), owners_of(prompts))
    runtime = install(request, spec["runtime"]) if spec["patched"] else None
    given = {**(request.get("defaults") or {}), **spec["runtime"]}
    probe = SampleProbeRunner(request, given, runtime, steps.batch, engine) if runtime is not None else None
    reporter = DrawReporter(llm, prompts, request["run"], channel, steps, runtime)
    channel.send(
        "loaded",
        run=request["run"],
        seconds=round(time.monotonic() - began, 3),
        engine=settings_of(llm, settings),
        revision=getattr(llm.llm_engine.model_config.hf_config, "_commit_hash", None),
    )

    began = time.monotonic()
    llm.generate(
        [{"prompt_token_ids": prompt.token_ids} for prompt in prompts],
        [SamplingParams(n=one.n, seed=one.seed, max_tokens=spec["max_tokens"], **spec["sampling"]) for one in prompts],
        use_tqdm=False,
    )
    seconds = time.monotonic() - began
    wanted = sum(prompt.n for prompt in prompts)
    if reporter.reported != wanted:
        raise RuntimeError(f"{reporter.reported} of {wanted} samples were seen to finish")
    counters = observed = None
    if runtime is not None and probe is not None:
        counters, observed = runtime.counters(), probe.figures()
        runtime.uninstall()
    return {
        "seconds": round(seconds, 6),
        "tokens": reporter.tokens,
        "steps": reporter.steps,
        "decode_rows": steps.rows,
        "decode_steps": steps.count,
        "counters": counters,
        "observed": observed,
        "observing": round(probe.seconds, 6) if probe is not None else 0.0,
    }


def warm_up(llm: LLM, prompt: DrawPrompt, sampling: dict[str, Any]) -> None:
    """Run the first steps of a process, which are slow, outside the timing; leaves nothing in the prefix cache."""
    params = SamplingParams(n=2, seed=0, max_tokens=2, **sampling)
    llm.generate([{"prompt_token_ids": prompt.token_ids}], [params], use_tqdm=False)
    llm.reset_prefix_cache()


def settings_of(llm: LLM, given: dict[str, Any]) -> dict[str, Any]:
    """The settings that the engine was given, and the resulting values of two of them."""
    config = llm.llm_engine.model_config
    return {**given, "dtype": str(config.dtype).removeprefix("torch."), "enforce_eager": config.enforce_eager}


def prompts_of(problem: dict[str, Any], token_ids: list[int], n: int) -> list[DrawPrompt]:
    """One prompt for a problem if all its samples are wanted; else one for each sample, with its seed among n."""
    wanted = problem["samples"]
    if wanted == list(range(n)):
        return [DrawPrompt(problem["id"], token_ids, 0, n, problem["seed"])]
    return [DrawPrompt(problem["id"], token_ids, sample, 1, problem["seed"] + sample) for sample in wanted]


def owners_of(prompts: list[DrawPrompt]) -> Owners:
    """(prompt tokens, seed) of each request that the engine will make, to its prompt's number and its sample."""
    return {
        (tuple(prompt.token_ids), prompt.seed + number): (place, prompt.first + number)
        for place, prompt in enumerate(prompts)
        for number in range(prompt.n)
    }


class StepCounter:
    """Counts decode rows, and steps with any, from the scheduler's output, independently of the runtime."""

    def __init__(self, batch: Batch, owners: Owners) -> None:
        self.rows = self.count = 0
        self.batch, original = batch, Adapter.owner.execute_model
        batch.owners.update(owners)

        def execute_model(runner: Any, scheduled: Any, *rest: Any, **named: Any) -> Any:
            batch.take(scheduled)
            self.rows += batch.shape.decode_rows
            self.count += batch.shape.decode_rows > 0
            return original(runner, scheduled, *rest, **named)

        Adapter.owner.execute_model = execute_model


class DrawReporter:
    """Follows the requests of one ``generate()``: reports each that finishes, and how far the others are.

    ``LLM.generate`` returns a prompt only when its last sample is done. The engine's output processor keeps a state
    per sample until that one is done, and its text with the parent request (``OutputProcessor.request_states``,
    ``ParentRequest.output_aggregator``, vLLM 0.10 to 0.20).
    """

    def __init__(
        self, llm: LLM, prompts: list[DrawPrompt], run: str, channel: Channel, counted: StepCounter, runtime: Any
    ) -> None:
        self._engine, self._prompts, self._run, self._channel = llm.llm_engine, iter(prompts), run, channel
        self._counted, self._runtime = counted, runtime
        self._states = self._engine.output_processor.request_states
        self._alive: dict[str, tuple[DrawPrompt, Any]] = {}
        self._single: dict[str, DrawPrompt] = {}
        self._began = self._last_progress = time.monotonic()
        self.reported = self.tokens = self.steps = 0
        # Looked up each time: the runtime may have replaced the methods of the class since.
        self._engine.add_request, self._engine.step = self._add, self._step

    def _add(self, request_id: str, *rest: Any, **named: Any) -> Any:
        before, prompt = len(self._states), next(self._prompts)
        result = type(self._engine).add_request(self._engine, request_id, *rest, **named)
        self._single.update({request_id: prompt} if prompt.n == 1 else {})
        self._alive.update((key, (prompt, self._states[key])) for key in islice(self._states, before, None))
        return result

    def _step(self) -> Any:
        outputs = type(self._engine).step(self._engine)
        self.steps += 1
        now = time.monotonic()
        for key in [key for key in self._alive if key not in self._states]:
            prompt, state = self._alive.pop(key)
            if state.parent_req is not None:
                self._report_sample(
                    prompt, state.request_index, state.parent_req.output_aggregator[state.request_index], now
                )
        for output in outputs:
            if output.finished and output.request_id in self._single:
                self._report_sample(self._single.pop(output.request_id), 0, output.outputs[0], now)
        if now - self._last_progress >= PROGRESS_EVERY:
            self._report_progress(now)
        return outputs

    def _report_sample(self, prompt: DrawPrompt, number: int, completion: Any, now: float) -> None:
        self.reported += 1
        self.tokens += len(completion.token_ids)
        self._channel.send(
            "sampled",
            run=self._run,
            problem=prompt.problem,
            sample=prompt.first + number,
            seed=prompt.seed + number,
            text=completion.text,
            tokens=len(completion.token_ids),
            finish=completion.finish_reason,
            seconds=round(now - self._began, 3),
        )

    def _report_progress(self, now: float) -> None:
        self._last_progress = now
        unfinished = [len(state.detokenizer.output_token_ids) for _, state in self._alive.values()]
        self._channel.send(
            "progress",
            run=self._run,
            seconds=round(now - self._began, 3),
            steps=self.steps,
            tokens=self.tokens + sum(unfinished),
            begun=self.reported + sum(tokens > 0 for tokens in unfinished),
            finished=self.reported,
            unfinished=len(unfinished),
            decode_rows=self._counted.rows,
            decode_steps=self._counted.count,
            counters=self._runtime.counters() if self._runtime is not None else None,
        )
