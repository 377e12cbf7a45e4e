"""One part of a scenario, in the forked child: one engine, its passes and calls, and their results."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from patchkit_worker.answers import answers_of
from patchkit_worker.channel import Channel
from patchkit_worker.compiled import allow_compilation, before_compilation, check_compiled
from patchkit_worker.delays import Delays
from patchkit_worker.engine import is_compiled, make_engine
from patchkit_worker.faults import Faults
from patchkit_worker.left_behind import Left, Randomness, Snapshot, after_uninstall, counters_of
from patchkit_worker.observe import NO_PROBE, Observer, Owners, engine_of
from patchkit_worker.probe import Guarded, load_probe, prepare_probe, where_in
from patchkit_worker.prompts import Prompt, make_prompts
from patchkit_worker.runners import seen
from patchkit_worker.runtime import describe, install
from vllm import LLM


def run_part(request: dict[str, Any], channel: Channel) -> int:
    """Run the part and send its events; returns the exit code."""
    part = PartRun(request, channel)
    try:
        channel.send("result", run=request["run"], **part.run())
    except Exception as error:  # any failure is reported to the caller
        channel.send("error", run=request["run"], **part.describe(error))
        return 1
    return 0


class PartRun:
    def __init__(self, request: dict[str, Any], channel: Channel) -> None:
        self._request, self._spec, self._channel = request, request["part"], channel
        self._place: dict[str, Any] = {"pass": None, "repeat": 0, "install": 0, "call": None}
        self._observer: Observer | None = None
        self._delays: Delays | None = None
        self._calls_done: list[tuple[list[Prompt], list[dict[str, Any]], dict[Any, torch.Tensor]]] = []
        self._independence: list[dict[str, Any]] = []
        self._faulted_at: int | None = None
        self._installed_while_made = False

    def run(self) -> dict[str, Any]:
        began = time.monotonic()
        self._faults = Faults(self._spec.get("faults") or [])
        self._llm = self._make_engine()
        loaded = time.monotonic() - began
        self._engine = engine_of(self._llm)
        self._caller_ids = CallerIds(self._llm)
        if self._observed:
            watch, counters = self._spec.get("watch") or [], self._request.get("counters") or {}
            self._observer = Observer(self._engine, watch, counters, self._emit_step)
        if self._spec.get("delays"):
            self._delays = Delays(self._request["tree"])
        self._faults.attach(self._engine)
        passes = []
        for repeat in range(self._spec.get("repeat", 1)):
            order = self._order()
            for name, install_ in order if repeat % 2 == 0 else reversed(order):
                self._place = {"pass": name, "repeat": repeat, "install": install_, "call": None}
                passes.append(self._run_pass())
        return {
            "passes": passes,
            "independence": self._independence,
            "load_seconds": round(loaded, 3),
            "runners": seen(),
        }

    @property
    def _observed(self) -> bool:
        """Observing takes time, and waits for the device in every step, which hides what comes too late."""
        return "timing" not in (self._spec.get("watch") or []) and not self._spec.get("delays")

    def _make_engine(self) -> LLM:
        settings = self._spec.get("engine") or {}
        if not is_compiled(settings):
            return make_engine(self._request["model"], self._request["device"], settings)
        allow_compilation()
        with self._installed_for_compilation():
            llm = make_engine(self._request["model"], self._request["device"], settings)
        check_compiled()
        return llm

    @contextmanager
    def _installed_for_compilation(self) -> Iterator[None]:
        """The runtime is installed while an engine is made, so that its parts, and its probe's, are compiled."""
        if not any(name == "patched" for name, _ in self._order()):
            yield
            return
        settings, folder = self._installs()[0], self._request.get("probe")
        given = {**(self._request.get("defaults") or {}), **settings}
        watched = folder is not None and self._observed
        with before_compilation(lambda runner: prepare_probe(folder, runner, given) if watched else None):
            runtime = install(self._request, settings)
            self._installed_while_made = True
            yield
            self._installed_while_made = False
            runtime.uninstall()

    def _order(self) -> list[tuple[str, int]]:
        """The passes of a repeat; one with the runtime for each of its installs."""
        installs = range(len(self._installs()))
        named = self._spec.get("passes") or ["patched"]
        return [(name, number) for name in named for number in (installs if name == "patched" else [0])]

    def _installs(self) -> list[dict[str, Any]]:
        return self._spec.get("runtime") or [{}]

    def _emit_step(self, **fields: Any) -> None:
        self._channel.send("step", run=self._request["run"], **self._place, **fields)

    def _run_pass(self) -> dict[str, Any]:
        # Passes over the same prompts must not find each other's prefixes, and draw the same random numbers.
        self._llm.reset_prefix_cache()
        torch.manual_seed(0)
        np.random.seed(0)  # of which the second runner makes the seeds of requests that have none
        self._calls_done.clear()
        patched = self._place["pass"] == "patched"
        settings = self._installs()[self._place["install"]]
        before = Snapshot(self._llm, self._engine) if patched and self._observer is not None else None
        random = Randomness()
        runtime = install(self._request, settings) if patched else None
        probe = self._probe(runtime, settings)
        if self._observer is not None:
            self._observer.begin_pass(runtime, probe, bool(self._spec.get("off")), random)
        self._prompts_before = self._caller_ids.returned_tokens = 0
        calls = []
        with self._delays.during(self._place["repeat"]) if self._delays is not None else nullcontext():
            for number, call in enumerate(self._spec["calls"]):
                self._place["call"] = number
                calls.append(self._run_call(call))
        counters = observed = None
        if runtime is not None:
            counters = runtime.counters() if self._request.get("counters") else None
            observed = probe.end_pass()
            probe.remove()
            probe = NO_PROBE  # the tensors that it holds are not the runtime's
        if "distributions" in (self._spec.get("watch") or []):
            self._independence += self._compare_first_and_last_call()
        left = self._uninstall(runtime, before, random)
        return {
            **{key: self._place[key] for key in ("pass", "repeat", "install")},
            "seconds": sum(call["seconds"] for call in calls),
            "generated_tokens": sum(call["generated_tokens"] for call in calls),
            "counters": counters,
            "observed": observed,
            "left": left,
            "delays": self._delays.report() if self._delays is not None else None,
            "calls": calls,
        }

    def _uninstall(self, runtime: Any | None, before: Snapshot | None, random: Randomness) -> Left | None:
        """Uninstall; returns what is left behind, unless there was no runtime or nothing is observed."""
        if runtime is None:
            return None
        if before is None or self._observer is None:
            runtime.uninstall()
            return None
        counted = counters_of(runtime)
        runtime.uninstall()
        random.check(self._observer.step)
        self._calls_done.clear()
        self._observer.end_pass()  # which holds the probe, and tensors of the last step
        return [*before.differences(), *random.moved, *after_uninstall(runtime, counted)]

    def _probe(self, runtime: Any | None, settings: dict[str, Any]) -> Guarded:
        """The runtime's own observer, if it has one and the part is watched."""
        folder = self._request.get("probe")
        if runtime is None or self._observer is None or folder is None:
            return NO_PROBE
        given = {**(self._request.get("defaults") or {}), **settings}
        return Guarded(load_probe(folder).Probe(runtime, given, self._engine), folder)

    def _run_call(self, call: dict[str, Any]) -> dict[str, Any]:
        vocabulary = self._llm.llm_engine.model_config.get_vocab_size()
        prompts, skipped = make_prompts(call["groups"], self._llm.get_tokenizer(), vocabulary)
        if self._observer is not None:
            self._observer.begin_call(expected_owners(prompts, self._prompts_before))
        self._prompts_before += len(prompts)
        self._caller_ids.begin_call(call.get("abort"), self._after_step)
        self._inject(0)
        began = time.monotonic()
        finished = self._llm.generate(
            [{"prompt_token_ids": prompt.token_ids} for prompt in prompts],
            [prompt.params for prompt in prompts],
            use_tqdm=False,
        )
        seconds = time.monotonic() - began
        outputs = answers_of(prompts, self._caller_ids.ids, finished)
        if self._observer is not None:
            self._observer.flush()
            self._calls_done.append((prompts, outputs, self._observer.distributions))
        tokens = sum(len(output["token_ids"]) for output in outputs)
        return {"seconds": round(seconds, 6), "generated_tokens": tokens, "outputs": outputs, "skipped": skipped}

    def _after_step(self) -> int:
        """A step of the engine is over; returns how many the call has had."""
        if self._observer is None:
            return 0
        self._observer.flush()
        self._inject(self._observer.steps_of_call)
        return self._observer.steps_of_call

    def _inject(self, step: int) -> None:
        """Inject the faults that are due after so many steps of this call; tokens count from then on."""
        if self._faults.inject(self._place["call"], step):
            self._caller_ids.returned_tokens = 0
            self._faulted_at = self._observer.step if self._observer is not None else None

    def _compare_first_and_last_call(self) -> list[dict[str, Any]]:
        """Each watched prompt of the first call against the same prompt in the last call."""
        (first_prompts, first_outputs, first), (_, last_outputs, last) = self._calls_done[0], self._calls_done[-1]
        last_prompts = {prompt.key: number for number, prompt in enumerate(self._calls_done[-1][0])}
        entries = []
        for number, prompt in enumerate(first_prompts):
            if prompt.watched:
                alone = tokens_of(first_outputs, number)
                crowd = tokens_of(last_outputs, last_prompts[prompt.key])
                compared = compare_distributions(prompt.key, alone, crowd, first, last)
                entries.append({"pass": self._place["pass"], "prompt": number, **compared})
        return entries

    def describe(self, error: Exception) -> dict[str, Any]:
        """What broke, where in the runtime (else in vLLM, else here), and in which step."""
        observer, fields = self._observer, describe(error, self._request.get("tree"))
        return {
            **fields,
            "where": where_in(self._request.get("probe"), error) or fields["where"],
            "step": observer.step if observer else 0 if self._installed_while_made else None,
            "shape": vars(observer.shape) if observer else None,
            "returned_tokens": self._caller_ids.returned_tokens if self._place["pass"] else 0,
            "faulted_at": self._faulted_at,
            "async_scheduling": self._schedules_ahead(),
            **{key: self._place[key] for key in ("pass", "call")},
        }

    def _schedules_ahead(self) -> bool:
        """vLLM schedules a batch before the tokens of the one before it are known."""
        engine = getattr(self, "_engine", None)  # none if the engine did not load
        return engine is not None and bool(engine.runner.vllm_config.scheduler_config.async_scheduling)


class CallerIds:
    """The ids under which the caller's prompts entered the engine, aborts by them, and tokens returned."""

    def __init__(self, llm: LLM) -> None:
        self._engine = llm.llm_engine
        self.returned_tokens = 0
        self._engine.add_request, self._engine.step = self._record, self._step_after_abort
        self.begin_call(None, lambda: 0)

    def begin_call(self, abort: dict[str, Any] | None, after_step: Callable[[], int]) -> None:
        """A call starts; ``after_step`` is called after each step of the engine, and returns how many there were."""
        self.ids: list[str] = []
        self._abort, self._after_step, self._steps = abort, after_step, 0

    def _record(self, request_id: str, *rest: Any, **named: Any) -> Any:
        self.ids.append(request_id)
        # Looked up each time: the runtime may have replaced the method of the class since.
        return type(self._engine).add_request(self._engine, request_id, *rest, **named)

    def _step_after_abort(self) -> Any:
        if self._abort is not None and self._steps >= self._abort["step"]:
            self._engine.abort_request([self.ids[number] for number in self._abort["prompts"]])
            self._abort = None
        outputs = type(self._engine).step(self._engine)
        self.returned_tokens += sum(len(sample.token_ids) for output in outputs for sample in output.outputs)
        self._steps = self._after_step()
        return outputs


def expected_owners(prompts: list[Prompt], before: int) -> Owners:
    """(prompt tokens, seed) of each request that the engine will make, to its (prompt, sample).

    vLLM seeds sample i of a request with its seed + i; unseeded samples cannot be distinguished, nor can two prompts
    of the same tokens and seed.
    """
    owners: Owners = {}
    for number, prompt in enumerate(prompts):
        seed, n = prompt.params.seed, prompt.params.n
        for sample in range(n):
            key = prompt.key, None if seed is None else seed + sample
            known = owners.get(key, (before + number, None))
            known_sample = seed is not None or n == 1
            owner = before + number, sample if known_sample else None
            owners[key] = owner if known[0] == before + number else (None, None)
    return owners


def tokens_of(outputs: list[dict[str, Any]], prompt: int) -> list[int]:
    return next(output["token_ids"] for output in outputs if output["prompt"] == prompt)


def compare_distributions(
    key: tuple[int, ...], alone: list[int], crowd: list[int], first: dict[Any, Any], last: dict[Any, Any]
) -> dict[str, Any]:
    """Total variation distance position by position, as long as the tokens before it are the same."""
    same = next(
        (i for i, (a, b) in enumerate(zip(alone, crowd, strict=False)) if a != b), min(len(alone), len(crowd)) - 1
    )
    distances = [
        0.5 * (first[key, position] - last[key, position]).abs().sum().item()
        for position in range(same + 1)
        if (key, position) in first and (key, position) in last
    ]
    largest = max(distances, default=0.0)
    return {
        "positions": len(distances),
        "max_total_variation": largest,
        "at": distances.index(largest) if distances else None,
    }
