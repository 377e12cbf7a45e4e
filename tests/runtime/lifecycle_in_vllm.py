"""Run inside an environment: what the runtime refuses, where it lives and what it leaves behind, in real vLLM.

Usage: ``python lifecycle_in_vllm.py TREE MODEL``; says nothing on stdout and exits with 0 if all holds.
"""

import gc
import sys
import weakref

sys.path.insert(0, sys.argv[1])

import esamp
from vllm import LLM, SamplingParams
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.sampling_params import BeamSearchParams
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.executor.uniproc_executor import UniProcExecutor

ENGINE = {
    "model": sys.argv[2],
    "distributed_executor_backend": UniProcExecutor,
    "enforce_eager": True,
    "dtype": "float32",
    "block_size": 32,
    "num_gpu_blocks_override": 512,
    "max_model_len": 256,
    "max_num_batched_tokens": 256,
}
SAMPLING = SamplingParams(n=2, max_tokens=6, temperature=0.9, ignore_eos=True)


def prompts(count: int) -> list[dict[str, list[int]]]:
    return [{"prompt_token_ids": [17 + number + at for at in range(5)]} for number in range(count)]


def refused(what, *words: str) -> str:
    """It must fail in one line that has these words."""
    try:
        what()
    except (RuntimeError, ValueError) as error:
        line = str(error)
        assert "\n" not in line and line.startswith("esamp"), line
        assert all(word in line for word in words), (words, line)
        return line
    raise AssertionError(f"not refused: {words}")


def generate(llm: LLM, count: int = 3) -> int:
    outputs = llm.generate(prompts(count), SAMPLING, use_tqdm=False)
    return sum(len(sample.token_ids) for output in outputs for sample in output.outputs)


refused(lambda: esamp.install("papers"), "no preset", "paper, release")
refused(lambda: esamp.install(betta=1), "betta", "beta")
refused(lambda: esamp.install(source="output"), "source", "output:K")
first = LLM(**ENGINE, max_num_seqs=16)
second = LLM(**ENGINE, max_num_seqs=16)
runtime = esamp.install(beta=0.5, width=16)
refused(lambda: esamp.install(), "already installed")

# Ways past the hooks.
refused(lambda: first.beam_search(prompts(1), BeamSearchParams(beam_width=2, max_tokens=4)), "beam search")
arguments = {key: value for key, value in ENGINE.items() if key != "distributed_executor_backend"}
refused(lambda: AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments)), "AsyncLLM (and vllm serve)")

# One runtime follows one engine; the advice works as it is written, and neither engine hangs.
assert generate(first) == 36 and runtime.counters()["decode_rows"] == 30
refused(lambda: generate(second), "another engine", "uninstall()", "install()")
assert not second.llm_engine.has_unfinished_requests()
assert generate(first) == 36
runtime.uninstall()
runtime = esamp.install(beta=0.5, width=16)
assert generate(second) == 36 and runtime.counters()["decode_rows"] == 30
refused(lambda: generate(first), "another engine")
runtime.uninstall()
assert generate(first) == generate(second) == 36

# More prompts than sequences at once, and nothing is left of the bank.
runtime = esamp.install(width=16)
assert generate(first, 100) == 1200
assert runtime.counters()["decode_rows"] == 1000 and 0 < len(runtime.bank.slots) <= 16
held = [weakref.ref(value) for value in (runtime.bank, *runtime.bank._held, runtime.taps[0], runtime.head)]
counted = runtime.counters()
runtime.uninstall()
runtime.uninstall()
gc.collect()
assert not any(value() is not None for value in held), "uninstall() keeps memory"
assert runtime.counters() == counted and runtime.view() is None
assert "compute_logits" not in vars(first.llm_engine.model_executor.driver_worker.model_runner.model)

# What does not fit is refused before the first token.
runtime = esamp.install(width=1 << 26)
line = refused(lambda: generate(first), "GiB are free", "max_num_seqs", "shared=True")
runtime.uninstall()

# Engines in which it cannot act.
pooling = LLM(**ENGINE, max_num_seqs=4, runner="pooling", convert="embed")
runtime = esamp.install()
refused(lambda: pooling.embed(prompts(1), use_tqdm=False), "pooling model")
runtime.uninstall()
# vLLM 0.20.0 cannot decode speculatively on the CPU, so a plain engine is told that it does.
config = first.llm_engine.vllm_config
config.speculative_config = {"method": "ngram"}
runtime = esamp.install()
refused(lambda: generate(first), "speculative")
