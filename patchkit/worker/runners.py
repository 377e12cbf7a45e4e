"""Which of vLLM's two model runners runs, and the adapter through which it is observed.

The first runner is ``vllm/v1/worker/gpu_model_runner.py``, the second ``vllm/v1/worker/gpu/model_runner.py``. Each has
an adapter with the same members, so that nothing else asks which of them runs:

- ``name``; ``owner``, the class; ``prepare``, its method for a step's inputs; ``sampler``, the class that samples;
- ``order()``: ids of the step's requests as they are packed; ``held()``: ids of all requests that the runner knows;
- ``hook_sampler(...)``: a :class:`~patchkit_worker.sampler_hooks.SamplerHooks` of that runner;
- ``before_forward(call)``: calls something before each forward pass, also of a compiled model;
- ``around_setup(around)``: where it draws random numbers outside of the sampler;
- ``sampler_parts()``: the sampler's objects, by name; ``misplace`` and ``put_back``: for fault injection.
"""

import importlib
from typing import Any

from patchkit_worker.wanted import WANTED

if WANTED == "v2":
    from patchkit_worker.second_runner import SecondRunner as Adapter
else:
    from patchkit_worker.first_runner import FirstRunner as Adapter  # type: ignore[assignment]

__all__ = ["Adapter", "check_class", "running", "seen"]

_seen: list[str] = []


def running(runner: Any) -> str:
    """The class of an engine's runner, ``module.Name``.

    Raises:
        RuntimeError: it is not the runner that was asked for.
    """
    return note(f"{type(runner).__module__}.{type(runner).__qualname__}", isinstance(runner, Adapter.owner))


def check_class(name: str) -> str:
    """The same of a runner in another process, by the full name of its class."""
    module, _, kind = name.rpartition(".")
    return note(name, issubclass(getattr(importlib.import_module(module), kind), Adapter.owner))


def note(found: str, wanted: bool) -> str:
    """Remember a class that ran, or refuse it."""
    if not wanted:
        raise RuntimeError(f"runner {WANTED} was asked for, and vLLM runs {found}")
    if found not in _seen:
        _seen.append(found)
    return found


def seen() -> list[str]:
    """The classes of all runners that were checked in this process."""
    return list(_seen)
