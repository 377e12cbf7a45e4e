"""What ESamp does on the host in a step of the engine, in microseconds, function by function.

Usage, with an interpreter that has vLLM::

    VLLM_USE_V2_MODEL_RUNNER=1 python benchmarks/host_work.py TREE MODEL [--random-weights] [--loads 8x16,1x16]

TREE is what ``patchkit apply --into TREE`` laid out. MODEL is a folder or a hub id; with ``--random-weights`` a folder
that has ``config.json`` alone will do. Prints JSON: of each load the step, what ESamp takes of it, and each function's
own time, without the others' and without vLLM's; medians over the rounds. Reading the clock adds under 1 µs a call.
"""

# mypy: ignore-errors

import argparse
import importlib
import json
import os
import runpy
import sys
import time
from collections import Counter
from functools import wraps
from pathlib import Path
from statistics import median

os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_LOGGING_STREAM": "ext://sys.stderr"}
VLLMS = "vLLM's own"
# The methods in which hooks, and the steps of the runtime, do their work; calls of one another are taken apart.
TIMED = {
    "esamp.engine.hooks": ("longest",),
    "esamp.engine.guards:Guards": (
        "begin_engine_step",
        "begin_execution",
        "check_batch",
        "check_rows",
        "check_sampling",
        "check_drawn",
        "end_engine_step",
    ),
    "esamp.engine.late_checks:LateChecks": ("add", "send", "raise_arrived"),
    "esamp.engine.choosing:ChoosingRuntime": ("begin_execution", "begin_step"),
    "esamp.runtime:Runtime": ("begin_execution", "begin_step", "sample", "_plan", "_point_taps", "_learn", "_move"),
    "esamp.runtime": ("locate",),
    "esamp.engine.runners:SecondRunner": ("take",),
    "esamp.engine.second_sampling:Draw": ("__init__", "move", "result"),
}
# What they call of vLLM's.
CALLED = {"esamp.engine.sampling": ("_filter", "_draw")}


class Clock:
    """Each name's own time: while another is under way, that one's runs."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._under_way: list[str] = []
        self._since = 0

    def timed(self, name: str, function):
        """The function, timed."""

        @wraps(function)
        def wrapped(*given, **named):
            self._switch(name)
            try:
                return function(*given, **named)
            finally:
                self._switch(None)

        return wrapped

    def _switch(self, to: str | None) -> None:
        now = time.perf_counter_ns()
        if self._under_way:
            self.spent[self._under_way[-1]] += now - self._since
        if to is None:
            self._under_way.pop()
        else:
            self._under_way.append(to)
            self.calls[to] += 1
        self._since = time.perf_counter_ns()

    def wrap(self, places: dict[str, tuple[str, ...]], as_name: str | None = None) -> None:
        """Time these functions and methods from now on, those that the tree has."""
        for place, names in places.items():
            module, _, owner = place.partition(":")
            holder = importlib.import_module(module)
            holder = getattr(holder, owner) if owner else holder
            for name in names:
                if owner and name not in vars(holder):
                    continue
                shown = as_name or f"{owner or module.rpartition('.')[2]}.{name}"
                setattr(holder, name, self.timed(shown, getattr(holder, name)))

    def wrap_draw(self, runtime) -> None:
        """What ``Runtime.sample`` gets to draw with is vLLM's."""
        sample = runtime.sample

        @wraps(sample)
        def given_a_draw(self_, sampler, logits, metadata, draw=None):
            return sample(self_, sampler, logits, metadata, draw and self.timed(VLLMS, draw))

        runtime.sample = given_a_draw


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tree", type=Path)
    parser.add_argument("model")
    parser.add_argument("--random-weights", action="store_true")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--loads", default="8x16,1x16")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    sys.path.insert(0, str(given.tree))
    clock = Clock()
    runtime, llm = engine(given, clock)
    loads = {load: tuple(map(int, load.split("x"))) for load in given.loads.split(",")}
    found = {load: measured(given, clock, runtime, llm, *shape) for load, shape in loads.items()}
    print(json.dumps(found, indent=1))


def engine(given, clock: Clock):
    """ESamp with its defaults, and an engine as users have it."""
    import esamp
    from vllm import LLM

    importlib.import_module("esamp.engine.hooks")
    clock.wrap_draw(importlib.import_module("esamp.runtime").Runtime)
    clock.wrap(TIMED)
    clock.wrap(CALLED, VLLMS)
    runtime = esamp.install()
    settings = {"load_format": "dummy", "skip_tokenizer_init": True} if given.random_weights else {}
    if given.device == "cpu":
        settings |= {"dtype": "float32", "block_size": 32, "num_gpu_blocks_override": 512, "enforce_eager": True}
    llm = LLM(given.model, max_model_len=512, seed=0, **settings)
    if given.random_weights:
        peak = runpy.run_path(Path(__file__).parents[1] / "patchkit" / "worker" / "random_weights.py")["peak_logits"]
        llm.collective_rpc(lambda worker: peak(worker.model_runner.model))
    return runtime, llm


def measured(given, clock: Clock, runtime, llm, prompts: int, samples: int) -> dict:
    """One load: microseconds a step, medians over the rounds."""
    rounds = [a_round(given, clock, runtime, llm, prompts, samples) for _ in range(given.rounds + 1)][1:]
    names = {name for one in rounds for name in one}
    medians = {name: round(median(one.get(name, 0.0) for one in rounds), 1) for name in names}
    return dict(sorted(medians.items(), key=lambda item: -item[1]))


def a_round(given, clock: Clock, runtime, llm, prompts: int, samples: int) -> dict[str, float]:
    """One call of ``generate``."""
    from vllm import SamplingParams

    params = SamplingParams(
        n=samples, max_tokens=given.tokens, ignore_eos=True, detokenize=False, temperature=0.8, top_p=0.95, min_p=0.1
    )
    asked = [{"prompt_token_ids": [3 + number, *range(4, 20)]} for number in range(prompts)]
    before = runtime.counters()["steps"]
    clock.spent.clear()
    began = time.perf_counter()
    llm.generate(asked, params, use_tqdm=False)
    seconds = time.perf_counter() - began
    spent = {name: took / 1000 for name, took in clock.spent.items() if name != VLLMS}
    spent |= {"a step": seconds * 1e6, "ESamp": sum(spent.values())}
    steps = runtime.counters()["steps"] - before
    return {name: took / steps for name, took in spent.items()}


if __name__ == "__main__":
    main()
