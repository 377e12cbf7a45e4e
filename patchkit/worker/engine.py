"""One engine, in this process, with the settings that make vLLM small and repeatable."""

from dataclasses import fields
from typing import Any

from patchkit_worker.runners import running
from vllm import LLM
from vllm.engine.arg_utils import EngineArgs

DEFAULTS: dict[str, Any] = {
    "enforce_eager": True,
    "max_model_len": 512,
    "max_num_batched_tokens": 512,
    "disable_log_stats": True,
    "seed": 0,
}
DEVICE_DEFAULTS: dict[str, dict[str, Any]] = {
    # bfloat16 is slow without AVX-512, and float32 leaves no doubt about rounding. A small cache of keys and values, as
    # zeroing the default gigabyte would take most of a load.
    "cpu": {"dtype": "float32", "block_size": 32, "num_gpu_blocks_override": 512},
    "cuda": {"dtype": "bfloat16"},
}
# Engines beside one another on a GPU, in one process or in several. A cache of keys and values whose size is given
# (from 0.10.2 on) is not sized by the memory that is free while an engine loads; the share must only be free then.
SHARED_GPU: dict[str, Any] = {"gpu_memory_utilization": 0.1, "kv_cache_memory_bytes": 1 << 30}
# Of engines that compile. Steps that are as large as a graph, that are padded to one, and that no graph is as large as.
COMPILED_DEFAULTS: dict[str, dict[str, Any]] = {
    "cpu": {},
    "cuda": {"cudagraph_capture_sizes": [1, 2, 4, 8, 16, 32, 64, 128]},
}


def is_compiled(settings: dict[str, Any]) -> bool:
    """Whether an engine with these settings, on top of the worker's own, compiles its forward pass."""
    return not {**DEFAULTS, **settings}["enforce_eager"]


def with_defaults(device: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments of ``vllm.LLM``: these settings on top of the worker's own."""
    compiled = COMPILED_DEFAULTS[device] if is_compiled(settings) else {}
    shared = shared_gpu() if device == "cuda" and not SHARED_GPU.keys() & settings.keys() else {}
    return {**DEFAULTS, **DEVICE_DEFAULTS[device], **shared, **compiled, **settings}


def shared_gpu() -> dict[str, Any]:
    """What of ``SHARED_GPU`` this release has."""
    known = {field.name for field in fields(EngineArgs)}
    return {name: value for name, value in SHARED_GPU.items() if name in known}


def make_engine(model: str, device: str, settings: dict[str, Any]) -> LLM:
    """Make the engine; ``settings`` are keyword arguments of ``vllm.LLM`` on top of the defaults.

    Raises:
        RuntimeError: its model runner is not the one that was asked for.
    """
    llm = LLM(
        model=model,
        distributed_executor_backend=in_process_executor(),
        **with_defaults(device, settings),
    )
    llm.collective_rpc(lambda worker: running(worker.model_runner))
    return llm


def in_process_executor() -> type:
    """The executor class that keeps the worker in this process; the name "uni" does not on every release."""
    try:
        from vllm.v1.executor.uniproc_executor import UniProcExecutor
    except ImportError:  # up to 0.11.0
        from vllm.v1.executor.abstract import UniProcExecutor
    return UniProcExecutor
