"""Doctors vLLM as a later release might change it, so that vLLM itself works on and only a runtime can notice.

A part names what it wants doctored; see ``doctor`` in docs/worker-protocol.md. All of it happens in the forked child,
before its engine is made and before the runtime hooks anything.
"""

from collections.abc import Callable, Iterable
from copy import copy
from typing import Any

import torch
from vllm.model_executor.layers.layernorm import RMSNorm
from vllm.v1.engine.core_client import InprocClient
from vllm.v1.sample.sampler import Sampler
from vllm.v1.worker.gpu_model_runner import GPUModelRunner

LATER_ID = "-later"


def doctor(names: Iterable[str]) -> None:
    """Make these changes to vLLM, in this process."""
    for name in names:
        DOCTORINGS[name]()


def runner_replaced() -> None:
    """The model runner's methods are another class's, as where a second model runner takes over."""
    override(GPUModelRunner, execute_model=GPUModelRunner.execute_model, _prepare_inputs=GPUModelRunner._prepare_inputs)


def prepare_inputs_bypassed() -> None:
    """The runner that is used overrides ``_prepare_inputs``."""
    override(GPUModelRunner, _prepare_inputs=GPUModelRunner._prepare_inputs)


def prepare_inputs_reordered() -> None:
    """``_prepare_inputs`` returns the requests' numbers of tokens right before the logits indices; its caller knows."""
    original = GPUModelRunner._prepare_inputs

    def _prepare_inputs(self: Any, *given: Any, **named: Any) -> Any:
        prepared = original(self, *given, **named)
        at = place_of_indices(prepared)
        tokens = prepared[at].diff(prepend=prepared[at].new_full((1,), -1))
        return (*prepared[:at], tokens, *prepared[at:])

    def for_the_caller(self: Any, *given: Any, **named: Any) -> Any:
        prepared = GPUModelRunner._prepare_inputs(self, *given, **named)  # the runtime's, where it has hooked it
        at = place_of_indices(prepared)
        return (*prepared[:at], *prepared[at + 1 :])

    GPUModelRunner._prepare_inputs = _prepare_inputs
    override(GPUModelRunner, _prepare_inputs=for_the_caller)


def sampler_bypassed() -> None:
    """The sampler that is used overrides ``sample``."""
    override(Sampler, sample=Sampler.sample)


def request_ids_changed() -> None:
    """The engine's core gives requests ids of its own, once they are registered; the caller sees the old ones."""
    add, get = InprocClient.add_request, InprocClient.get_output

    def add_request(self: Any, request: Any) -> None:
        request = copy(request)
        request.request_id += LATER_ID
        add(self, request)

    def get_output(self: Any) -> Any:
        outputs = get(self)
        for output in outputs.outputs:
            output.request_id = output.request_id.removesuffix(LATER_ID)
        return outputs

    InprocClient.add_request, InprocClient.get_output = add_request, get_output


def norm_swapped() -> None:
    """A norm with a residual returns the sum first and the normalised rows second; the model's blocks know."""

    def forward(self: Any, *given: Any, **named: Any) -> Any:
        return swapped(RMSNorm.forward(self, *given, **named))

    def __call__(self: Any, *given: Any, **named: Any) -> Any:  # noqa: N807
        return swapped(RMSNorm.__call__(self, *given, **named))

    override(RMSNorm, forward=forward, __call__=__call__)


DOCTORINGS: dict[str, Callable[[], None]] = {
    make.__name__: make
    for make in (
        runner_replaced,
        prepare_inputs_bypassed,
        prepare_inputs_reordered,
        sampler_bypassed,
        request_ids_changed,
        norm_swapped,
    )
}


def override(owner: type, **methods: Any) -> None:
    """Every instance made from now on is of a subclass that has these methods."""
    begin = owner.__init__

    def __init__(self: Any, *given: Any, **named: Any) -> None:  # noqa: N807
        begin(self, *given, **named)
        self.__class__ = type(f"Later{type(self).__name__}", (type(self),), methods)

    owner.__init__ = __init__


def place_of_indices(prepared: tuple[Any, ...]) -> int:
    """Where the first tensor of row numbers stands."""
    return next(
        at
        for at, value in enumerate(prepared)
        if isinstance(value, torch.Tensor) and value.dim() == 1 and value.dtype in (torch.int32, torch.int64)
    )


def swapped(output: Any) -> Any:
    return output[::-1] if isinstance(output, tuple) else output
