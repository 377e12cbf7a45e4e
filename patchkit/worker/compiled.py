"""An engine whose forward pass is compiled: whatever is to run in it must be in the model before that.

With ``enforce_eager=False`` vLLM traces the model once, when the engine is made; on CUDA it then replays graphs of it.
Python that is put into the model later never runs.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch._dynamo.config
import torch._inductor.config
from patchkit_worker.engine import is_compiled
from torch._dynamo.utils import get_compilation_metrics
from vllm.v1.worker.gpu_worker import Worker

Prepare = Callable[[Any], None]  # gets vLLM's model runner, whose model is loaded

VARIABLES = {
    # The key of vLLM's compile cache is not made of what is traced: a model would be taken that was compiled with
    # another tree, or by another version of the runtime's probe.
    "VLLM_DISABLE_COMPILE_CACHE": "1",
    # Nor are the keys of torch's own caches made of what an operation is said to change: generated code would be taken
    # that was made when another tree said something else.
    "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1",
}
TRACED = {"mode": 2, "backend": "eager", "custom_ops": ["none"]}
"""Of ``CompilationConfig``: trace a model once, and run what was traced, without making code of it.

What is traced is what vLLM gives its compiler: with the backend ``eager`` alone it would trace its custom operations
too, of which one asks for the name of the machine, which torch 2.11 cannot trace.
"""


def quickly_compiled(device: str, part: dict[str, Any]) -> dict[str, Any]:
    """Settings of a part's engine: on a CPU one that compiles only traces, since code takes 20 seconds a load.

    A ``compilation_config`` of the part's own stays, ``{}`` for what users get; and what is timed is what they get.
    """
    settings: dict[str, Any] = part.get("engine") or {}
    if device != "cpu" or not is_compiled(settings) or "timing" in (part.get("watch") or []):
        return settings
    return {"compilation_config": TRACED, **settings}


def allow_compilation() -> None:
    """In this process, which has imported torch, and in those that it starts; what the part sets stays."""
    for name, value in VARIABLES.items():
        os.environ.setdefault(name, value)
    os.environ["TORCHDYNAMO_DISABLE"] = "0"  # the worker of an eager engine on the CPU compiles nothing
    torch._dynamo.config.disable = False
    torch._inductor.config.force_disable_caches = True


def check_compiled() -> None:
    """The forward pass of a model was traced in this process.

    Raises:
        RuntimeError: it was not, so that it runs eagerly whatever the engine's settings say.
    """
    traced = {str(one.co_filename) for one in get_compilation_metrics()}
    if not any("/model_executor/models/" in name for name in traced):
        raise RuntimeError(f"enforce_eager is off, and no model was compiled, only {sorted(traced) or 'nothing'}")


@contextmanager
def before_compilation(prepare: Prepare) -> Iterator[None]:
    """Engines that are made meanwhile have ``prepare`` called between loading their model and compiling it."""
    original = Worker.load_model

    def load_model(worker: Any, *given: Any, **named: Any) -> Any:
        loaded = original(worker, *given, **named)
        prepare(worker.model_runner)
        return loaded

    Worker.load_model = load_model
    try:
        yield
    finally:
        Worker.load_model = original
