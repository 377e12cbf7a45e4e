"""One part of a scenario, in the forked child: one engine, its passes and calls, and what came of them."""

import time
from typing import Any

import torch
from patchkit_worker.channel import Channel
from patchkit_worker.doctor import doctor
from patchkit_worker.engine import make_engine
from patchkit_worker.prompts import Prompt, is_correct, make_prompts
from patchkit_worker.runtime import describe, install
from patchkit_worker.watch import Watcher
from vllm import LLM


def run_part(request: dict[str, Any], channel: Channel) -> int:
    """Run the part and send its events; returns the exit code."""
    part = Part(request, channel)
    try:
        channel.send("result", run=request["run"], **part.run())
    except Exception as error:  # a part may die in any way; the caller is told how
        channel.send("error", run=request["run"], **part.describe(error))
        return 1
    return 0


class Part:
    def __init__(self, request: dict[str, Any], channel: Channel) -> None:
        self._request, self._spec, self._channel = request, request["part"], channel
        self._place: dict[str, Any] = {"pass": None, "repeat": 0, "call": None}
        self._watcher: Watcher | None = None
        self._kept: list[tuple[list[Prompt], list[dict[str, Any]], dict[Any, torch.Tensor]]] = []
        self._independence: list[dict[str, Any]] = []

    def run(self) -> dict[str, Any]:
        began = time.monotonic()
        doctor(self._spec.get("doctor") or [])
        self._llm: LLM = make_engine(self._request["model"], self._request["device"], self._spec.get("engine") or {})
        loaded = time.monotonic() - began
        self._caller_ids = CallerIds(self._llm)
        watch = self._spec.get("watch") or []
        if "timing" not in watch:
            self._watcher = Watcher(watch, self._emit_step)
        passes = []
        for repeat in range(self._spec.get("repeat", 1)):
            order = self._spec.get("passes") or ["patched"]
            for name in order if repeat % 2 == 0 else reversed(order):
                self._place = {"pass": name, "repeat": repeat, "call": None}
                passes.append(self._run_pass())
        return {"passes": passes, "independence": self._independence, "load_seconds": round(loaded, 3)}

    def _emit_step(self, **fields: Any) -> None:
        self._channel.send("step", run=self._request["run"], **self._place, **fields)

    def _run_pass(self) -> dict[str, Any]:
        # Passes over the same prompts must not find each other's prefixes, and draw the same random numbers.
        self._llm.reset_prefix_cache()
        torch.manual_seed(0)
        patched = self._place["pass"] == "patched"
        runtime = install(self._request, self._spec.get("runtime") or {}) if patched else None
        if self._watcher is not None:
            self._watcher.begin_pass(runtime, self._settings().get("beta", 0.0))
        self._prompts_before = self._caller_ids.returned_tokens = 0
        self._kept.clear()
        calls = []
        for number, call in enumerate(self._spec["calls"]):
            self._place["call"] = number
            calls.append(self._run_call(call))
        counters = None
        if runtime is not None:
            counters = runtime.counters()
            runtime.uninstall()
        if "distributions" in (self._spec.get("watch") or []):
            self._independence += self._compare_first_and_last_call()
        return {
            **{key: self._place[key] for key in ("pass", "repeat")},
            "seconds": sum(call["seconds"] for call in calls),
            "generated_tokens": sum(call["generated_tokens"] for call in calls),
            "counters": counters,
            "calls": calls,
        }

    def _settings(self) -> dict[str, Any]:
        """What the runtime's start function is given."""
        return {**(self._request.get("defaults") or {}), **(self._spec.get("runtime") or {})}

    def _run_call(self, call: dict[str, Any]) -> dict[str, Any]:
        vocabulary = self._llm.llm_engine.model_config.get_vocab_size()
        prompts = make_prompts(call["groups"], self._llm.get_tokenizer(), vocabulary)
        if self._watcher is not None:
            self._watcher.begin_call(expected_owners(prompts, self._prompts_before))
        self._prompts_before += len(prompts)
        self._caller_ids.begin_call(call.get("abort"), self._watcher)
        began = time.monotonic()
        finished = self._llm.generate(
            [{"prompt_token_ids": prompt.token_ids} for prompt in prompts],
            [prompt.params for prompt in prompts],
            use_tqdm=False,
        )
        seconds = time.monotonic() - began
        outputs = self._outputs(prompts, finished)
        if self._watcher is not None:
            self._watcher.end_call()
            self._kept.append((prompts, outputs, self._watcher.distributions))
        tokens = sum(len(output["token_ids"]) for output in outputs)
        return {"seconds": round(seconds, 6), "generated_tokens": tokens, "outputs": outputs}

    def _outputs(self, prompts: list[Prompt], finished: list[Any]) -> list[dict[str, Any]]:
        outputs = []
        for request in finished:
            number = self._caller_ids.ids.index(request.request_id)
            answer = prompts[number].answer
            for sample in request.outputs:
                outputs.append(
                    {
                        "prompt": number,
                        "sample": sample.index,
                        "token_ids": list(sample.token_ids),
                        "text": sample.text,
                        "finish": sample.finish_reason,
                        "correct": None if answer is None else is_correct(sample.text, answer),
                    }
                )
        return sorted(outputs, key=lambda output: (output["prompt"], output["sample"]))

    def _compare_first_and_last_call(self) -> list[dict[str, Any]]:
        """Each watched prompt of the first call against the same prompt in the last call."""
        (first_prompts, first_outputs, first), (_, last_outputs, last) = self._kept[0], self._kept[-1]
        last_prompts = {prompt.key: number for number, prompt in enumerate(self._kept[-1][0])}
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
        watcher = self._watcher
        return {
            **describe(error, self._request.get("tree")),
            "step": watcher.step if watcher else None,
            "shape": vars(watcher.shape) if watcher else None,
            "returned_tokens": self._caller_ids.returned_tokens if self._place["pass"] else 0,
            **{key: self._place[key] for key in ("pass", "call")},
        }


class CallerIds:
    """The ids under which the caller's prompts entered the engine, aborts by them, and what came back."""

    def __init__(self, llm: LLM) -> None:
        self._engine = llm.llm_engine
        self.returned_tokens = 0
        self._engine.add_request, self._engine.step = self._record, self._step_after_abort
        self.begin_call(None, None)

    def begin_call(self, abort: dict[str, Any] | None, watcher: Watcher | None) -> None:
        self.ids: list[str] = []
        self._abort, self._watcher = abort, watcher

    def _record(self, request_id: str, *rest: Any, **named: Any) -> Any:
        self.ids.append(request_id)
        # Looked up each time: the runtime may have replaced the method of the class since.
        return type(self._engine).add_request(self._engine, request_id, *rest, **named)

    def _step_after_abort(self) -> Any:
        if self._abort is not None and self._watcher is not None and self._watcher.steps_of_call >= self._abort["step"]:
            self._engine.abort_request([self.ids[number] for number in self._abort["prompts"]])
            self._abort = None
        outputs = type(self._engine).step(self._engine)
        self.returned_tokens += sum(len(sample.token_ids) for output in outputs for sample in output.outputs)
        return outputs


def expected_owners(prompts: list[Prompt], before: int) -> dict[Any, tuple[int, int | None]]:
    """(prompt tokens, seed) of each request that the engine will make, to its (prompt, sample).

    vLLM seeds sample i of a request with its seed + i; unseeded samples cannot be told apart.
    """
    owners: dict[Any, tuple[int, int | None]] = {}
    for number, prompt in enumerate(prompts):
        seed, n = prompt.params.seed, prompt.params.n
        for sample in range(n):
            owners[prompt.key, None if seed is None else seed + sample] = (
                before + number,
                sample if seed is not None or n == 1 else None,
            )
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
