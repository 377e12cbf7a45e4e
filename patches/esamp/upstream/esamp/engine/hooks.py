"""Where vLLM is hooked: five methods, each calls the original and tells the runtime; and those that are refused."""

from functools import partial
from typing import Any

import torch
from vllm import LLM, envs
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.llm_engine import LLMEngine
from vllm.v1.sample.sampler import Sampler
from vllm.v1.worker.gpu_model_runner import GPUModelRunner

from esamp.config import make_config
from esamp.runtime import Runtime

_installed: list[Runtime] = []
# Ways to generate text that do not pass the hooks: without a word they would run as if nothing were installed.
REFUSED = (
    (AsyncLLM, "__init__", "AsyncLLM (and vllm serve) runs the model in another process"),
    (AsyncLLM, "add_request", "AsyncLLM (and vllm serve) runs the model in another process"),
    (LLM, "beam_search", "beam search samples by itself and decodes no row"),
)


class Hook:
    """A method of a vLLM class, replaced by ``make(original)`` until removed."""

    def __init__(self, owner: type, name: str, make: Any) -> None:
        self._owner, self._name, self._original = owner, name, owner.__dict__[name]
        setattr(owner, name, make(self._original))

    @property
    def symbol(self) -> str:
        """``LLMEngine.step``."""
        return f"{self._owner.__name__}.{self._name}"

    def remove(self) -> None:
        setattr(self._owner, self._name, self._original)


def install(preset: str = "paper", **settings: Any) -> Runtime:
    """Hook vLLM in this process, before or after the engine is made.

    Args:
        preset: ``paper`` or ``release``.
        settings: those of :class:`esamp.config.Config`, on top of the preset.

    Raises:
        ValueError: no such preset or setting.
        RuntimeError: it is installed already, or the engine would run in another process, where hooks never fire.
    """
    config = make_config(preset, settings)
    if any(runtime.hooks for runtime in _installed):
        raise RuntimeError("esamp: already installed; call uninstall() first")
    if envs.VLLM_ENABLE_V1_MULTIPROCESSING:
        raise RuntimeError("esamp: set VLLM_ENABLE_V1_MULTIPROCESSING=0; the engine must run in this process")
    runtime = Runtime(config)
    try:
        runtime.hooks.append(hook_add_request(runtime))
        for owner, name, make in (
            (LLMEngine, "step", hooked_step),
            (GPUModelRunner, "execute_model", hooked_execute_model),
            (GPUModelRunner, "_prepare_inputs", hooked_prepare_inputs),
            (Sampler, "sample", hooked_sample),
        ):
            runtime.hooks.append(Hook(owner, name, partial(make, runtime)))
        for owner, name, why in REFUSED:
            runtime.hooks.append(Hook(owner, name, partial(refusing, why)))
    except BaseException:  # a method has moved: leave no hook behind
        runtime.uninstall()
        raise
    _installed[:] = [runtime]
    return runtime


def refusing(why: str, original: Any) -> Any:
    """A method that would generate text without the runtime."""

    def refuse(self: Any, *rest: Any, **named: Any) -> Any:
        raise RuntimeError(f"esamp: {why}, where it cannot intervene; use LLM.generate, or call uninstall() first")

    return refuse


def hook_add_request(runtime: Runtime) -> Hook:
    """Learn of each prompt as it enters the engine, and of the requests that the engine makes of it."""

    def wrap(original: Any) -> Any:
        def add_request(self: Any, request_id: str, prompt: Any, params: Any, *rest: Any, **named: Any) -> Any:
            runtime.admit(self)
            result = original(self, request_id, prompt, params, *rest, **named)
            runtime.requests.add_prompt(request_id, getattr(params, "n", 1))
            return result

        return add_request

    return Hook(LLMEngine, "add_request", wrap)


def hooked_step(runtime: Runtime, original: Any) -> Any:
    """This runs in the caller's process in any case: notice that a hook below it does not fire."""

    def step(self: Any, *rest: Any, **named: Any) -> Any:
        busy = self.has_unfinished_requests()
        runtime.guards.begin_engine_step()
        outputs = original(self, *rest, **named)
        runtime.guards.end_engine_step(outputs, busy)
        return outputs

    return step


def hooked_execute_model(runtime: Runtime, original: Any) -> Any:
    """Every step starts here, also one that has nothing to run: learn which requests have ended."""

    def execute_model(self: Any, scheduler_output: Any, *rest: Any, **named: Any) -> Any:
        runtime.begin_execution(self, scheduler_output)
        return original(self, scheduler_output, *rest, **named)

    return execute_model


def hooked_prepare_inputs(runtime: Runtime, original: Any) -> Any:
    """The batch of this step stands: find the decode rows."""

    def _prepare_inputs(self: Any, scheduler_output: Any) -> Any:
        prepared = original(self, scheduler_output)
        runtime.begin_step(self, scheduler_output.num_scheduled_tokens, logits_indices_of(prepared))
        return prepared

    return _prepare_inputs


def hooked_sample(runtime: Runtime, original: Any) -> Any:
    """The forward is done: intervene and draw, or leave a step without decode rows to vLLM."""

    def sample(self: Any, logits: torch.Tensor, sampling_metadata: Any) -> Any:
        token_ids = runtime.sample(self, logits, sampling_metadata)
        if token_ids is None:
            return original(self, logits, sampling_metadata)
        return token_ids

    return sample


def logits_indices_of(prepared: Any) -> Any:
    """``[requests]`` last packed row of each request, out of what ``_prepare_inputs`` returns."""
    return prepared[1]
