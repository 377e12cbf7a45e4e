"""One engine that is measured whenever the caller says so, in the forked child; see docs/worker-protocol.md."""

import gc
import json
import os
import time
from typing import Any

import numpy as np
import torch
from patchkit_worker.channel import Channel
from patchkit_worker.engine import make_engine
from patchkit_worker.memory import memory_now, watch_peak
from patchkit_worker.observe import engine_of
from patchkit_worker.profile import profiled
from patchkit_worker.prompts import make_texts
from patchkit_worker.random_weights import peak_logits
from patchkit_worker.runners import Adapter, seen
from patchkit_worker.runtime import describe, install
from patchkit_worker.steps import StepTracker
from vllm import LLM, SamplingParams


def run_measure(request: dict[str, Any], channel: Channel) -> int:
    """Load, then measure one load after another as standard input says; returns the exit code."""
    try:
        measured = MeasuredEngine(request)
        channel.send("loaded", run=request["run"], **measured.loaded)
        with os.fdopen(os.dup(0)) as orders:
            for line in orders:
                order = json.loads(line)
                if order["do"] == "end":
                    break
                channel.send("measured", run=request["run"], **measured.run(order))
    except Exception as error:  # any failure is reported to the caller
        channel.send("error", run=request["run"], **describe(error, request.get("tree")))
        return 1
    return 0


class MeasuredEngine:
    """One engine, with the runtime or plain."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._spec = spec = request["measure"]
        began = time.monotonic()
        # Before the engine is made: what vLLM compiles and captures then has the runtime in it.
        self._runtime = install(request, spec["runtime"]) if spec["patched"] else None
        self._at_work = spec["patched"]
        self._llm: LLM = make_engine(request["model"], request["device"], spec["engine"])
        if spec["random_weights"]:
            peak_logits(engine_of(self._llm).model)
        self._steps = StepRecorder()
        config = self._llm.llm_engine.vllm_config
        self.loaded = {
            "seconds": round(time.monotonic() - began, 3),
            "engine": {
                "dtype": str(config.model_config.dtype).removeprefix("torch."),
                "enforce_eager": config.model_config.enforce_eager,
                "async_scheduling": bool(config.scheduler_config.async_scheduling),
                "max_num_seqs": config.scheduler_config.max_num_seqs,
                "max_num_batched_tokens": config.scheduler_config.max_num_batched_tokens,
            },
            "runners": seen(),
        }

    def run(self, order: dict[str, Any]) -> dict[str, Any]:
        """One ``generate()``: ``prompts`` x ``n`` samples of exactly ``tokens`` tokens, from ``seed``.

        ``uninstalled``: without the runtime, in this and all later ones, in an engine that was made with it; it still
        returns its counters, by which is seen that it is gone.
        """
        if order.get("uninstalled") and self._at_work:
            self._runtime.uninstall()
            self._at_work = False
        prompts = self._prompts(order)
        params = SamplingParams(
            n=order["n"],
            max_tokens=order["tokens"],
            min_tokens=order["tokens"],
            ignore_eos=True,
            detokenize=False,
            **self._spec["sampling"],
        )
        # A run finds no prefix of an earlier one, draws the same random numbers as the others of its pair, and pays for
        # no garbage of an earlier one. Seeds of requests would change what is measured: vLLM draws them one by one.
        self._llm.reset_prefix_cache()
        torch.manual_seed(order["seed"])
        np.random.seed(order["seed"])
        gc.collect()
        before = self._counters()
        self._steps.begin()
        watch_peak()
        with profiled(bool(order.get("profile"))) as profile:
            synchronise()
            began, busy = time.perf_counter(), time.process_time()
            finished = self._llm.generate(
                [{"prompt_token_ids": ids} for ids in prompts], [params] * len(prompts), use_tqdm=False
            )
            synchronise()  # what the runtime still does after the last token is part of its cost
            seconds, busy = time.perf_counter() - began, time.process_time() - busy
        counts = self._steps.end()
        return {
            "seconds": round(seconds, 6),
            "cpu_seconds": round(busy, 6),
            "tokens": sum(len(sample.token_ids) for request in finished for sample in request.outputs),
            **counts,
            "before": before,
            "after": self._counters(),
            "memory": memory_now(),
            "profile": profile.rows(max(1, counts["steps"])),
        }

    def _prompts(self, order: dict[str, Any]) -> list[list[int]]:
        spec = {**self._spec["prompts"], "count": order["prompts"], "seed": order["seed"]}
        tokenizer = self._llm.get_tokenizer() if spec["kind"] != "random" else None
        vocabulary = self._llm.llm_engine.model_config.get_vocab_size()
        return [ids for ids, _ in make_texts(spec, tokenizer, vocabulary)]

    def _counters(self) -> dict[str, Any] | None:
        return dict(self._runtime.counters()) if self._runtime is not None else None


class StepRecorder:
    """Counts decode rows, and steps with any, from the scheduler's output, independently of the runtime.

    A step only keeps its output, for both sides of a pair alike; they are counted when the run is over, outside of its
    time.
    """

    def __init__(self) -> None:
        self._kept: list[Any] = []
        self._tracker = StepTracker()
        original, kept = Adapter.owner.execute_model, self._kept

        def execute_model(runner: Any, scheduled: Any, *rest: Any, **named: Any) -> Any:
            kept.append(scheduled)
            return original(runner, scheduled, *rest, **named)

        Adapter.owner.execute_model = execute_model

    def begin(self) -> None:
        """Forget what ran before."""
        self._kept.clear()

    def end(self) -> dict[str, int]:
        """``steps`` that ran the model, ``decode_steps`` of them with a decode row, and ``decode_rows`` in all."""
        shapes = [self._tracker.take(one)[0] for one in self._kept]
        self._kept.clear()
        rows = [shape.decode_rows for shape in shapes]
        return {
            "steps": sum(shape.requests > 0 for shape in shapes),
            "decode_steps": sum(count > 0 for count in rows),
            "decode_rows": sum(rows),
        }


def synchronise() -> None:
    """Wait for the device, if it is one that works on its own."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
