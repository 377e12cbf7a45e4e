"""Fault injection: vLLM changed on purpose, as a later release might change it, so that only a runtime notices.

A part names its faults; see ``faults`` in docs/worker-protocol.md. vLLM itself still works under each of them. A fault
is switched on before the engine is made, or in mid-run, on the live engine. What must lie below the runtime's hooks is
installed before the engine in either case, and does nothing until the fault is switched on.
"""

from collections.abc import Callable, Iterable
from copy import copy
from functools import partial
from typing import Any

from patchkit_worker.runners import Adapter
from patchkit_worker.views import Engine
from vllm.model_executor.layers.layernorm import RMSNorm
from vllm.v1.engine.core_client import InprocClient

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
    """The model runner's methods are another class's, as where another model runner takes over."""

    names: tuple[str, ...] = ("execute_model", Adapter.prepare)
    owner: type = Adapter.owner

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
    """The runner that is used overrides the method that makes a step's inputs."""

    names = (Adapter.prepare,)


class SamplerBypassed(RunnerReplaced):
    """The sampler that is used overrides ``sample``."""

    names = ("sample",)
    owner = Adapter.sampler

    def live(self, engine: Engine) -> Any:
        return engine.runner.sampler


class PrepareInputsReordered(Fault):
    """The requests' numbers of tokens are where the logits indices were, in a step's inputs; vLLM's caller knows."""

    def arm(self) -> None:
        original = getattr(Adapter.owner, Adapter.prepare)

        def prepare(runner: Any, *given: Any, **named: Any) -> Any:
            prepared = original(runner, *given, **named)
            return Adapter.misplace(prepared) if self.on else prepared

        prepare.__name__ = Adapter.prepare
        setattr(Adapter.owner, Adapter.prepare, prepare)

    def switch_on(self, engine: Engine | None) -> None:
        super().switch_on(engine)

        def for_the_caller(runner: Any, *given: Any, **named: Any) -> Any:
            hooked = getattr(Adapter.owner, Adapter.prepare)  # the runtime's, where it has hooked it
            return Adapter.put_back(hooked(runner, *given, **named))

        change = partial(override, Adapter.owner) if engine is None else partial(change_class, engine.runner)
        change(**{Adapter.prepare: for_the_caller})


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
