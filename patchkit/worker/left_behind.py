"""What a runtime leaves behind: vLLM, its live engine and memory before install() against after uninstall().

Every difference is an object with ``what`` and the fields needed to report it in a line; see ``left`` in
docs/worker-protocol.md.
"""

import functools
import gc
import random
import sys
import types
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from patchkit_worker.views import Engine
from vllm import LLM

Left = list[dict[str, Any]]
Table = dict[Any, dict[str, Any]]

OF_CLASSES = (types.FunctionType, staticmethod, classmethod, property, functools.partial, functools.partialmethod)
GLOBAL_HOOKS = torch.nn.modules.module
SLACK = 1 << 18  # bytes of small tensors that vLLM and the worker make in a pass and keep
MOST_REPORTED = 12  # differences of a kind that are reported


class Snapshot:
    """The state of vLLM and the engine now; :meth:`differences` returns what has changed."""

    def __init__(self, llm: LLM, engine: Engine) -> None:
        self._objects = dict(objects_of(llm, engine))
        self._functions, self._own, self._hooks = functions_of_vllm(), self._look(), self._look_at_hooks()
        self._classes = {name: type(one) for name, one in self._objects.items()}
        gc.collect()
        self._memory = live_tensors()

    def differences(self) -> Left:
        """What is not as it was, at most a few of each kind."""
        return [*self._attributes()[:MOST_REPORTED], *self._added_hooks()[:MOST_REPORTED], *self._held()]

    def _look(self) -> Table:
        """What each object has in place of, or beside, its class's methods."""
        return {name: callables_on(one) for name, one in self._objects.items()}

    def _look_at_hooks(self) -> Table:
        modules = {name: one for name, one in self._objects.items() if isinstance(one, torch.nn.Module)}
        return {name: hooks_of(one) for name, one in {**modules, "torch.nn.Module": GLOBAL_HOOKS}.items()}

    def _attributes(self) -> Left:
        left: Left = []
        now = functions_of_vllm()
        for owner, was in self._functions.items():
            has = now.get(owner, was)
            for name in sorted(was.keys() | has.keys()):
                if was.get(name) is not has.get(name):
                    left.append(attribute(f"{full_name(owner)}.{name}", has.get(name)))
        for owner, was in self._own.items():
            has = callables_on(self._objects[owner])
            left += [attribute(f"{owner}.{name}", has[name]) for name in has if has[name] is not was.get(name)]
            if type(self._objects[owner]) is not self._classes[owner]:
                left.append(attribute(f"{owner}.__class__", type(self._objects[owner])))
        return left

    def _added_hooks(self) -> Left:
        now = self._look_at_hooks()
        return [
            {"what": "hook", "name": f"{owner}.{kind}", "is": full_name(hook)}
            for owner, was in self._hooks.items()
            for (kind, number), hook in now[owner].items()
            if was.get((kind, number)) is not hook
        ]

    def _held(self) -> Left:
        """Tensors that are alive and were not, if they take more than vLLM's own small ones."""
        gc.collect()
        now = live_tensors()
        more = sum(size for size, _ in now.values()) - sum(size for size, _ in self._memory.values())
        new = sorted((now[at] for at in now.keys() - self._memory.keys()), reverse=True)
        if more <= SLACK or not new:
            return []
        return [{"what": "memory", "bytes": more, "largest": new[0][1]}]


def objects_of(llm: LLM, engine: Engine) -> Iterator[tuple[str, Any]]:
    """The live engine's objects by name, every module of its model and every part of its sampler."""
    yield from {"LLM": llm, "LLM.llm_engine": llm.llm_engine, "runner": engine.runner}.items()
    if engine.runner.model is not engine.model:
        yield "runner.model", engine.runner.model  # replays graphs of the model
    for name, one in engine.model.named_modules():
        yield f"model.{name}" if name else "model", one
    yield from engine.adapter.sampler_parts()


def callables_on(one: Any) -> dict[str, Any]:
    """The callables in an object's own ``__dict__``, such as a function that replaces a method."""
    return {
        key: value
        for key, value in list(vars(one).items())
        if callable(value) and not isinstance(value, type | torch.nn.Module)
    }


def functions_of_vllm() -> Table:
    """Every function of every class and module of vLLM that is imported now."""
    found: Table = {}
    interpreters = names_of_interpreter()
    for name, module in list(sys.modules.items()):
        if name.startswith("vllm.") and isinstance(module, types.ModuleType):
            values = list(vars(module).items())
            found[module] = {
                key: value
                for key, value in values
                if isinstance(value, types.FunctionType) and value is not interpreters.get(key)
            }
            for _, value in values:
                if isinstance(value, type) and value not in found and value.__module__.startswith("vllm."):
                    found[value] = {key: one for key, one in vars(value).items() if isinstance(one, OF_CLASSES)}
    return found


def names_of_interpreter() -> dict[str, Any]:
    """What Triton's interpreter, where it is used, puts into every module of which it runs a kernel: its own names."""
    module = sys.modules.get("triton.runtime.interpreter")
    return vars(module) if module else {}


def hooks_of(module: Any) -> dict[str, Any]:
    """``(table, number)`` to hook."""
    return {
        (kind, number): hook
        for kind, hooks in list(vars(module).items())
        if kind.endswith("_hooks") and isinstance(hooks, dict)
        for number, hook in hooks.items()
    }


def live_tensors() -> dict[int, tuple[int, str]]:
    """Bytes and form of every tensor that Python holds, once for all that share its memory."""
    found: dict[int, tuple[int, str]] = {}
    for one in gc.get_objects():
        if not issubclass(type(one), torch.Tensor):
            continue
        with suppress(RuntimeError, NotImplementedError):  # a form without plain memory
            storage = one.untyped_storage()
            if storage.data_ptr():
                found[storage.data_ptr()] = storage.nbytes(), f"{str(one.dtype).removeprefix('torch.')} {[*one.shape]}"
    return found


def attribute(name: str, value: Any) -> dict[str, Any]:
    return {"what": "attribute", "name": name, "is": None if value is None else full_name(value)}


def full_name(value: Any) -> str:
    """``module.qualified_name``, as far as a value has them."""
    value = getattr(value, "__func__", getattr(value, "func", getattr(value, "fget", value)))
    name = getattr(value, "__qualname__", getattr(value, "__name__", type(value).__qualname__))
    module = getattr(value, "__module__", None)
    return f"{module}.{name}" if module else name


class Randomness:
    """Whether the global generators of torch, numpy and Python are unchanged while vLLM does not draw.

    Otherwise a request without a seed would draw other numbers than without the runtime.
    """

    def __init__(self) -> None:
        self.moved: Left = []
        self.resume()

    def resume(self) -> None:
        """From here on they must not change."""
        self._states = generator_states()

    def check(self, step: int) -> None:
        """They must be as they were; each is reported once."""
        known = {one["name"] for one in self.moved}
        for name, state in generator_states().items():
            if name not in known and state != self._states[name]:
                self.moved.append({"what": "random", "name": name, "step": step})


def generator_states() -> dict[str, Any]:
    """The state of each global generator, by name."""
    numbers = np.random.get_state()
    states = {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": (np.asarray(numbers[1]).tobytes(), *numbers[2:]),
        "random": random.getstate(),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states["torch.cuda"] = torch.cuda.get_rng_state().numpy().tobytes()
    return states


def counters_of(runtime: Any) -> dict[str, Any]:
    """What a runtime has counted; nothing if it does not count."""
    return dict(runtime.counters()) if hasattr(runtime, "counters") else {}


def after_uninstall(runtime: Any, counted: dict[str, Any]) -> Left:
    """What is wrong with a runtime that was uninstalled: it must still return its counters, and allow a second call."""
    left: Left = []
    try:
        now = counters_of(runtime)
        for name in counted.keys() | now.keys():
            if repr(now.get(name)) != repr(counted.get(name)):
                left.append({"what": "counter", "name": name, "was": counted.get(name), "is": now.get(name)})
    except Exception as error:  # code of the runtime, which may raise anything
        left.append({"what": "raised", "name": "counters()", "is": f"{type(error).__name__}: {error}"})
    try:
        runtime.uninstall()
    except Exception as error:
        left.append({"what": "raised", "name": "a second uninstall()", "is": f"{type(error).__name__}: {error}"})
    return sorted(left, key=lambda one: str(one["name"]))
