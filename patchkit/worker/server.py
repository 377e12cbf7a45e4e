"""Import vLLM once, then fork a child for every run and relay its events."""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import platform
import selectors
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import IO, Any

from patchkit_worker.channel import Channel, LineReader
from patchkit_worker.lateness import VARIABLES
from patchkit_worker.wanted import WANTED

# Imported before the first fork, since every child would import them again; one that a release lacks is skipped.
PRELOADED = (
    "vllm.entrypoints.llm",
    "vllm.model_executor.models.llama",
    "vllm.model_executor.models.qwen2",
    "vllm.v1.engine.core",
    "vllm.v1.engine.llm_engine",
    "vllm.v1.sample.ops.topk_topp_sampler",
    "vllm.v1.worker.gpu_model_runner",
    "vllm.v1.worker.gpu_worker",
)
PRELOADED_CPU = (
    "vllm.v1.attention.backends.cpu_attn",
    "vllm.v1.worker.cpu_model_runner",
    "vllm.v1.worker.cpu_worker",
)
PRELOADED_SECOND = (
    "vllm.v1.worker.cpu.model_runner",
    "vllm.v1.worker.gpu.model_runner",
)
# Architectures registered as classes: vLLM then need not start a process to look at them.
REGISTERED = {
    "LlamaForCausalLM": "vllm.model_executor.models.llama",
    "Qwen2ForCausalLM": "vllm.model_executor.models.qwen2",
}
LAST_LINES = 20
PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    run: str
    pid: int
    events: LineReader
    errors: IO[bytes]
    began: float
    orders: int | None = None  # descriptor of its standard input, if it takes orders


class Server:
    """Reads requests, forks, relays, reaps; one thread, so that forking is safe."""

    def __init__(self, requests: int, channel: Channel) -> None:
        self._requests, self._channel = LineReader(requests), channel
        self._children: dict[int, Child] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(requests, selectors.EVENT_READ)

    def run(self) -> None:
        try:
            while self._poll():
                pass
        finally:
            for child in self._children.values():
                kill_group(child.pid)

    def _poll(self) -> bool:
        for key, _ in self._selector.select():
            if key.fd == self._requests.descriptor:
                lines, closed = self._requests.read()
                for line in lines:
                    self._handle(json.loads(line))
                if closed:
                    return False
            elif key.fd in self._children:
                self._relay(self._children[key.fd])
        return True

    def _handle(self, request: dict[str, Any]) -> None:
        if "cancel" in request:
            for child in self._children.values():
                if child.run == request["cancel"]:
                    kill_group(child.pid)
        elif "tell" in request:
            self._tell(request["tell"], request["order"])
        else:
            self._fork(request)

    def _tell(self, run: str, order: dict[str, Any]) -> None:
        """Pass an order on to a child; one that is gone shows as the end of its events."""
        for child in self._children.values():
            if child.run == run and child.orders is not None:
                with contextlib.suppress(OSError):
                    os.write(child.orders, json.dumps(order).encode() + b"\n")

    def _fork(self, request: dict[str, Any]) -> None:
        reading, writing = os.pipe()
        taking, ordering = os.pipe() if "measure" in request else (None, None)
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the child is reaped
        began = time.monotonic()
        pid = os.fork()
        if pid == 0:
            os._exit(child_main(request, writing, errors, taking))
        os.close(writing)
        if taking is not None:
            os.close(taking)
        self._children[reading] = Child(request["run"], pid, LineReader(reading), errors, began, ordering)
        self._selector.register(reading, selectors.EVENT_READ)
        self._channel.send("started", run=request["run"], pid=pid)

    def _relay(self, child: Child) -> None:
        lines, closed = child.events.read()
        for line in lines:
            self._channel.relay(line + b"\n")
        if closed:
            self._reap(child)

    def _reap(self, child: Child) -> None:
        self._selector.unregister(child.events.descriptor)
        del self._children[child.events.descriptor]
        os.close(child.events.descriptor)
        if child.orders is not None:
            os.close(child.orders)
        _, status = os.waitpid(child.pid, 0)
        kill_group(child.pid)
        self._channel.send(
            "exit",
            run=child.run,
            code=os.waitstatus_to_exitcode(status) if not os.WIFSIGNALED(status) else None,
            signal=signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else None,
            seconds=round(time.monotonic() - child.began, 3),
            last_words=last_lines(child.errors),
        )


def child_main(request: dict[str, Any], writing: int, errors: IO[bytes], orders: int | None = None) -> int:
    """In the forked child: a session of its own, output to ``errors``, then the work; returns the exit code.

    Standard input is the descriptor of its orders, or empty.
    """
    os.setsid()
    die_with_parent()
    os.dup2(errors.fileno(), 1)
    os.dup2(errors.fileno(), 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY) if orders is None else orders, 0)
    code = run_request(request, Channel(writing))
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def run_request(request: dict[str, Any], channel: Channel) -> int:
    """A part of a scenario, samples to draw, or an engine to measure; returns the exit code."""
    if "gpu" in request:  # before CUDA is touched, which is when it reads this
        os.environ["CUDA_VISIBLE_DEVICES"] = request["gpu"]
    if "draw" in request:
        from patchkit_worker.sample_problems import run_draw

        return run_draw(request, channel)
    if "measure" in request:
        from patchkit_worker.measure import run_measure

        return run_measure(request, channel)
    part = request["part"]
    os.environ.update(part.get("environ") or {})
    if part.get("delays"):
        os.environ.update(VARIABLES)
    from patchkit_worker.compiled import quickly_compiled

    part["engine"] = quickly_compiled(request["device"], part)
    if part.get("client"):
        from patchkit_worker.client import run_client

        return run_client(request, channel)
    if part.get("checks"):
        from patchkit_worker.checks import run_checks

        return run_checks(request, channel)
    from patchkit_worker.part import run_part

    return run_part(request, channel)


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies (Linux)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def last_lines(file: IO[bytes]) -> str:
    file.seek(0, os.SEEK_END)
    file.seek(max(0, file.tell() - 16384))
    lines = file.read().decode(errors="replace").splitlines()
    file.close()
    return "\n".join(lines[-LAST_LINES:])


def import_vllm() -> dict[str, Any]:
    """Import everything a run needs, and say what was imported."""
    began = time.monotonic()
    gc.disable()
    import torch
    import transformers
    import vllm
    from vllm.platforms import current_platform

    on_cpu = current_platform.is_cpu()
    second = WANTED == "v2"
    for name in PRELOADED + (PRELOADED_CPU if on_cpu else ()) + (PRELOADED_SECOND if second else ()):
        try_import(name)
    replaced = []
    if second and on_cpu:
        replaced = importlib.import_module("patchkit_worker.interpreter").prepare()
    for name in ("part", "sample_problems", "measure", "checks"):
        importlib.import_module(f"patchkit_worker.{name}")
    for architecture, module in REGISTERED.items():
        vllm.ModelRegistry.register_model(architecture, getattr(importlib.import_module(module), architecture))
    # What is alive now stays alive in every child: keep the collector from touching, and so copying, its pages.
    gc.freeze()
    gc.enable()
    return {
        "vllm": vllm.__version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
        "device": "cpu" if on_cpu else "cuda",
        "gpu": None if on_cpu else current_platform.get_device_name(),
        "cuda": torch.version.cuda,
        "runner": WANTED,
        "replaced": replaced,
        "seconds": round(time.monotonic() - began, 1),
    }


def try_import(name: str) -> Any | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def serve() -> int:
    """Serve until standard input ends. Standard output carries events alone: what others print goes to stderr."""
    channel = Channel(os.dup(1))
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's to handle; it closes our stdin
    channel.send("ready", **import_vllm())
    Server(0, channel).run()
    return 0
