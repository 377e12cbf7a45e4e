"""Where vLLM's stream of a GPU waits in a decode step: plain vLLM, ESamp, and its engine after ``uninstall()``.

Usage, with an interpreter that has vLLM, and the second model runner::

    VLLM_USE_V2_MODEL_RUNNER=1 python benchmarks/step_gaps.py TREE MODEL [--random-weights] [--loads 1x1,8x16]

TREE is what ``patchkit apply --into TREE`` laid out. MODEL is a folder or a hub id; with ``--random-weights`` a folder
that has ``config.json`` alone will do. Two engines are loaded, in two processes, and run in turn. Prints a line of JSON
for each side and load: the median and the mean step in milliseconds, without a profiler; then, from a trace and in
microseconds, the span of a step, how long the stream was busy and idle, and before which kernels it was idle longest.
"""

# mypy: ignore-errors

import argparse
import json
import os
import runpy
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from statistics import median

STEP = "gumbel"  # in the name of a kernel that runs once a step
SKIPPED, TRACED = 12, 32  # steps at the start of a trace, and those that are looked at
LONGEST, NAME = 12, 48


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tree", type=Path)
    parser.add_argument("model")
    parser.add_argument("--random-weights", action="store_true")
    parser.add_argument("--loads", default="1x1,1x16,8x16")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--gpu-memory", type=float, default=0.4)
    parser.add_argument("--inside", choices=["plain", "esamp"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        Side(given).obey()
        return
    sides = {name: start(name) for name in ("plain", "esamp")}
    for side, order in (
        ("plain", "plain"),
        ("esamp", "esamp"),
        ("plain", "plain"),
        ("esamp", "esamp"),
        ("esamp", "uninstalled"),
        ("plain", "plain"),
    ):
        ask(sides[side], order)
    for side in sides.values():
        side.stdin.close()
        side.wait()


def start(name: str) -> subprocess.Popen:
    """A side in a process of its own; one loads after another, for vLLM looks at how much memory is free meanwhile."""
    side = subprocess.Popen(
        [sys.executable, __file__, *sys.argv[1:], "--inside", name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_LOGGING_STREAM": "ext://sys.stderr"},
    )
    heard(side, "loading")
    return side


def ask(side: subprocess.Popen, order: str) -> None:
    """Have a side measure all loads, and pass on what it finds."""
    side.stdin.write(f"{order}\n")
    side.stdin.flush()
    heard(side, order)


def heard(side: subprocess.Popen, doing: str) -> None:
    """Print what a side says until it is done."""
    for line in side.stdout:
        if line.strip() == "done":
            return
        print(line, end="", flush=True)
    sys.exit(f"step_gaps: a process ended while {doing}; its messages are above")


class Side:
    """One engine."""

    def __init__(self, given) -> None:
        sys.path.insert(0, str(given.tree))
        if given.inside == "esamp":
            import esamp

            self.runtime = esamp.install()
        from vllm import LLM

        settings = {"load_format": "dummy", "skip_tokenizer_init": True} if given.random_weights else {}
        self._llm = LLM(
            given.model,
            max_model_len=512,
            seed=0,
            gpu_memory_utilization=given.gpu_memory,
            max_num_seqs=128,
            **settings,
        )
        if given.random_weights:
            worker = Path(__file__).parents[1] / "patchkit" / "worker"
            peak = runpy.run_path(str(worker / "random_weights.py"))["peak_logits"]
            self._llm.collective_rpc(lambda worker: peak(worker.model_runner.model))
        self._loads, self.tokens = [tuple(map(int, load.split("x"))) for load in given.loads.split(",")], given.tokens
        for load in self._loads * 2:  # kernels are compiled, graphs captured
            self.generate(*load)

    def obey(self) -> None:
        """Measure all loads for each line of standard input."""
        print("done", flush=True)
        for order in map(str.strip, sys.stdin):
            if order == "uninstalled":
                self.runtime.uninstall()
            for prompts, samples in self._loads:
                steps = self._steps(prompts, samples)
                found = {"side": order, "load": f"{prompts}x{samples}", **steps, **self._trace(prompts, samples)}
                print(json.dumps(found), flush=True)
            print("done", flush=True)

    def generate(self, prompts: int, samples: int) -> None:
        import torch
        from vllm import SamplingParams

        params = SamplingParams(
            n=samples,
            max_tokens=self.tokens,
            ignore_eos=True,
            detokenize=False,
            temperature=0.8,
            top_p=0.95,
            min_p=0.1,
        )
        self._llm.reset_prefix_cache()
        asked = [{"prompt_token_ids": [3 + number, *range(4, 20)]} for number in range(prompts)]
        self._llm.generate(asked, params, use_tqdm=False)
        torch.cuda.synchronize()

    def _steps(self, prompts: int, samples: int) -> dict:
        from vllm.v1.engine.llm_engine import LLMEngine

        took, original = [], LLMEngine.step

        def step(engine, *given, **named):
            began = time.perf_counter()
            result = original(engine, *given, **named)
            took.append(1e3 * (time.perf_counter() - began))
            return result

        LLMEngine.step = step
        began = time.perf_counter()
        for _ in range(4):
            self.generate(prompts, samples)
        mean = 1e3 * (time.perf_counter() - began) / len(took)
        LLMEngine.step = original
        return {"median_step": round(median(took), 3), "mean_step": round(mean, 3)}

    def _trace(self, prompts: int, samples: int) -> dict:
        import torch

        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            self.generate(prompts, samples)
        streams = defaultdict(list)
        for event in profile.events():
            if "CPU" not in str(event.device_type) and not event.is_user_annotation:
                times = event.time_range
                streams[event.device_resource_id].append((times.start, times.end, event.name))
        return gaps(sorted(max(streams.values(), key=len)))


def gaps(kernels: list[tuple[float, float, str]]) -> dict:
    """Of one stream's kernels, each with its start, end and name, in order: what a step is made of."""
    ends = [at for at, (_, _, name) in enumerate(kernels) if STEP in name][SKIPPED : SKIPPED + TRACED + 1]
    if len(ends) < 2:
        raise SystemExit(f"step_gaps: fewer than {SKIPPED + 2} steps in a trace; raise --tokens")
    steps, idle, busy = len(ends) - 1, Counter(), 0.0
    _, until, _ = kernels[ends[0]]
    first = until
    for start, end, name in kernels[ends[0] + 1 : ends[-1] + 1]:
        idle[name[:NAME]] += max(0.0, start - until)
        busy += max(0.0, end - max(start, until))
        until = max(until, end)
    return {
        "span": round((until - first) / steps, 1),
        "busy": round(busy / steps, 1),
        "idle": round(sum(idle.values()) / steps, 1),
        "idle_before": {name: round(waited / steps, 1) for name, waited in idle.most_common(LONGEST)},
    }


if __name__ == "__main__":
    main()
