"""Fault injection: vLLM changed on purpose, as a later release might change it, so that only a runtime notices.

A part names its faults; see ``faults`` in docs/worker-protocol.md. vLLM itself still works under each of them. A fault
is switched on before the engine is made, or in mid-run, on the live engine. What must lie below the runtime's hooks is
installed before the engine in either case, and does nothing until the fault is switched on.
"""

from collections.abc import Callable, Iterable
from copy import copy
from functools import partial
from typing import Any

import torch
from patchkit_worker.views import Engine
from vllm.model_executor.layers.layernorm import RMSNorm
from vllm.v1.engine.core_client import InprocClient
from vllm.v1.sample.sampler import Sampler
from vllm.v1.worker.gpu_model_runner import GPUModelRunner

LATER_ID = "-later"


class Faults:
    """The faults of one part: ``{"fault", "call", "step"}`` in mid-run, or a name alone: before the engine."""

    def __init__(self, faults: Iterable[str | dict[str, Any]]) -> None:
        self._engine: Engine | None = None
        self._waiting: list[tuple[int, int, Fault]] = []
        for one in faults:
            fault = FAULTS[one if isinstance(one, str) else one["fault"]]()
            fault.arm()
            if isinstance(one, str):
                fault.switch_on(None)
            else:
                self._waiting.append((one["call"], one.get("step") or 0, fault))

    def attach(self, engine: Engine) -> None:
        """The engine is made, the runtime not yet installed: later faults record what will replace its hooks."""
        self._engine = engine
        for _, _, fault in self._waiting:
            fault.remember()

    def inject(self, call: int, step: int) -> bool:
        """Switch on what is due after so many steps of a call (0: before it); whether there was anything."""
        due = [one for one in self._waiting if (call, step) >= one[:2]]
        for one in due:
            self._waiting.remove(one)
            one[2].switch_on(self._engine)
        return bool(due)


class Fault:
    """One change to vLLM. What ``arm`` installs checks ``on``."""

    def __init__(self) -> None:
        self.on = False

    def arm(self) -> None:
        """Before the engine is made: replace what must lie below a runtime's hooks."""

    def remember(self) -> None:
        """Before a runtime hooks anything: record what this fault will put in place of its hooks."""

    def switch_on(self, engine: Engine | None) -> None:
        """Switch the fault on: for every object made from now on, or for those of a live engine."""
        self.on = True


class RunnerReplaced(Fault):
    """The model runner's methods are another class's, as where a second model runner takes over."""

    names = ("execute_model", "_prepare_inputs")
    owner: type = GPUModelRunner

    def arm(self) -> None:
        self.remember()

    def remember(self) -> None:
        self._methods = {name: getattr(self.owner, name) for name in self.names}

    def switch_on(self, engine: Engine | None) -> None:
        super().switch_on(engine)
        if engine is None:
            override(self.owner, **self._methods)
        else:
            change_class(self.live(engine), **self._methods)

    def live(self, engine: Engine) -> Any:
        """The object of a live engine that changes."""
        return engine.runner


class PrepareInputsBypassed(RunnerReplaced):
    """The runner that is used overrides ``_prepare_inputs``."""

    names = ("_prepare_inputs",)


class SamplerBypassed(RunnerReplaced):
    """The sampler that is used overrides ``sample``."""

    names = ("sample",)
    owner = Sampler

    def live(self, engine: Engine) -> Any:
        return engine.runner.sampler


class PrepareInputsReordered(Fault):
    """``_prepare_inputs`` returns the requests' numbers of tokens right before the logits indices; its caller knows."""

    def arm(self) -> None:
        original = GPUModelRunner._prepare_inputs

        def _prepare_inputs(runner: Any, *given: Any, **named: Any) -> Any:
            prepared = original(runner, *given, **named)
            if not self.on:
                return prepared
            at = position_of_indices(prepared)
            tokens = prepared[at].diff(prepend=prepared[at].new_full((1,), -1))
            return (*prepared[:at], tokens, *prepared[at:])

        GPUModelRunner._prepare_inputs = _prepare_inputs

    def switch_on(self, engine: Engine | None) -> None:
        super().switch_on(engine)

        def for_the_caller(runner: Any, *given: Any, **named: Any) -> Any:
            prepared = GPUModelRunner._prepare_inputs(runner, *given, **named)  # the runtime's, where it has hooked it
            at = position_of_indices(prepared)
            return (*prepared[:at], *prepared[at + 1 :])

        change = partial(override, GPUModelRunner) if engine is None else partial(change_class, engine.runner)
        change(_prepare_inputs=for_the_caller)


class RequestIdsChanged(Fault):
    """The engine's core gives requests new ids once they are registered; the caller sees the old ones.

    In mid-run: those that are added from then on.
    """

    def arm(self) -> None:
        add, get = InprocClient.add_request, InprocClient.get_output

        def add_request(client: Any, request: Any) -> None:
            if self.on:
                request = copy(request)
                request.request_id += LATER_ID
            add(client, request)

        def get_output(client: Any) -> Any:
            outputs = get(client)
            for output in outputs.outputs:
                output.request_id = output.request_id.removesuffix(LATER_ID)
            return outputs

        InprocClient.add_request, InprocClient.get_output = add_request, get_output


class NormSwapped(Fault):
    """A norm with a residual returns the sum first and the normalised rows second; the model's blocks know."""

    def arm(self) -> None:
        forward, call = RMSNorm.forward, RMSNorm.__call__

        def swapped_forward(norm: Any, *given: Any, **named: Any) -> Any:
            return self._swapped(forward(norm, *given, **named))

        def swapped_call(norm: Any, *given: Any, **named: Any) -> Any:
            return self._swapped(call(norm, *given, **named))

        RMSNorm.forward, RMSNorm.__call__ = swapped_forward, swapped_call

    def _swapped(self, output: Any) -> Any:
        return output[::-1] if self.on and isinstance(output, tuple) else output


FAULTS: dict[str, Callable[[], Fault]] = {
    "runner_replaced": RunnerReplaced,
    "prepare_inputs_bypassed": PrepareInputsBypassed,
    "prepare_inputs_reordered": PrepareInputsReordered,
    "sampler_bypassed": SamplerBypassed,
    "request_ids_changed": RequestIdsChanged,
    "norm_swapped": NormSwapped,
}


def override(owner: type, **methods: Any) -> None:
    """Every instance made from now on is of a subclass that has these methods."""
    begin = owner.__init__

    def __init__(self: Any, *given: Any, **named: Any) -> None:  # noqa: N807
        begin(self, *given, **named)
        change_class(self, **methods)

    owner.__init__ = __init__


def change_class(instance: Any, **methods: Any) -> None:
    """Make an object one of a subclass that has these methods."""
    instance.__class__ = type(f"Later{type(instance).__name__}", (type(instance),), methods)


def position_of_indices(prepared: tuple[Any, ...]) -> int:
    """Index of the first tensor of row numbers."""
    return next(
        at
        for at, value in enumerate(prepared)
        if isinstance(value, torch.Tensor) and value.dim() == 1 and value.dtype in (torch.int32, torch.int64)
    )
