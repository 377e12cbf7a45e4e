"""The client of the worker: one process that has imported vLLM, and forks a bounded number of runs at a time.

Whatever the worker does (die, hang, print garbage), the result is a :class:`Record` that says so in one line.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from patchkit.errors import PatchkitError
from patchkit.gates.events import AnyEvent, Exit, Ready, RunEvent, Started, read_event
from patchkit.gates.invariants.finished import signal_name
from patchkit.gates.part_run import Run, RuntimeDeclaration
from patchkit.gates.scenario import Part

WORKER = Path(__file__).parent.parent / "worker"
READY_LIMIT = 600.0  # a cold import of vLLM on a slow disk takes minutes
CANCEL_LIMIT = 10.0
OVER_LIMIT = ("hung: ", "not done within ")
STEADY = 3  # how many times its limit a run may take that is not silent for so long: other work slows it down
STARTS = 3  # how often a worker is started in all, if it is killed


class Interpreter(Protocol):
    """The fields of an environment that the client needs."""

    @property
    def release(self) -> str: ...
    @property
    def python(self) -> Path: ...
    @property
    def variables(self) -> Mapping[str, str]: ...


class Record(Protocol):
    """The events of a run, in order, and what the client itself saw go wrong."""

    trouble: str
    seconds: float

    def take(self, event: RunEvent) -> None:
        """Keep an event. Called from the client's thread: it must not block, nor raise."""


AnyRecord = TypeVar("AnyRecord", bound=Record)


@dataclass
class Job(Generic[AnyRecord]):
    """One run, from the queue to its end; ``limit`` and ``patience`` are seconds."""

    request: dict[str, Any]
    record: AnyRecord
    limit: float
    patience: float
    alone: bool
    gpu: str = ""
    future: Future[AnyRecord] = field(default_factory=Future)
    began: float = 0.0
    last_event: float = 0.0
    cancelled: float = 0.0
    pid: int = 0

    def over_limit(self, now: float) -> str:
        """Which limit it is over, in a clause that begins with one of ``OVER_LIMIT``; empty if over none."""
        silent = now - self.last_event
        if silent > self.patience:
            return f"hung: no event for {silent:.0f} s, its limit is {self.patience:g} s"
        if now - self.began > self.limit:
            return f"not done within {self.limit:g} s: its last event came {silent:.0f} s ago"
        return ""


class WorkerClient:
    """A worker process of one environment. ``submit`` from any thread; one background thread does the rest."""

    def __init__(
        self,
        environment: Interpreter,
        workers: int = 1,
        worker: Path | None = None,
        variables: Mapping[str, str] | None = None,
        ready_limit: float = READY_LIMIT,
        gpus: Sequence[str] = (),
    ) -> None:
        """A worker that is not started yet.

        Args:
            workers: runs at a time.
            gpus: a GPU for each of them, as CUDA names it; empty: all see the GPUs that this process sees.
        """
        self._environment, self._worker, self._ready_limit = environment, worker or WORKER, ready_limit
        self._variables = {**environment.variables, **(variables or {})}
        self._workers, self._gpus = workers, list(gpus)
        self._lock = threading.Lock()
        self._queue: deque[Job[Any]] = deque()
        self._running: dict[str, Job[Any]] = {}
        self._submitted = 0
        self._starts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  (it lives as long as the client)
        self._garbage = ""
        self._partial_line = b""
        self._launched = 0.0
        self._closing = False
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._thread: threading.Thread | None = None
        self.ready: Ready | None = None
        self._accepting = False
        self._ready_or_not = threading.Event()
        self._failure: PatchkitError | None = None

    # Public methods, called from any thread.

    def submit(
        self,
        part: Part,
        *,
        scenario: str,
        model: str,
        tree: Path | None,
        runtime: RuntimeDeclaration | None = None,
        device: str = "cpu",
        limit: float = 120.0,
        alone: bool = False,
        metadata: Path | None = None,
        engine: Mapping[str, Any] | None = None,
    ) -> Future[Run]:
        """Queue a part of a scenario, see :meth:`enqueue`.

        Args:
            limit: seconds that it may be silent; in all it may take ``STEADY`` times as long.
            metadata: see ``patchkit.series.entry_points``.
            engine: keyword arguments of ``vllm.LLM``, below the part's own.
        """
        request = {"scenario": scenario, "model": model, "tree": str(tree) if tree else None, "device": device}
        if metadata is not None:
            request["metadata"] = str(metadata)
        request, record = request_for(part, runtime, request, self._environment.release, engine)
        if record.unfit:
            refused: Future[Run] = Future()
            refused.set_result(record)
            return refused
        return self.enqueue(request, record, limit=STEADY * limit, patience=limit, alone=alone)

    def enqueue(
        self,
        request: Mapping[str, Any],
        record: AnyRecord,
        *,
        limit: float = inf,
        patience: float = inf,
        alone: bool = False,
    ) -> Future[AnyRecord]:
        """Queue a run; its events go to ``record``.

        The future always ends in the record, unless no worker could be started at all (PatchkitError).

        Args:
            request: as in docs/worker-protocol.md, without ``run``.
            limit: seconds that it may take.
            patience: seconds that it may be silent.
            alone: nothing else may run beside it.
        """
        with self._lock:
            self._submitted += 1
            job = Job({**request, "run": f"r{self._submitted}"}, record, limit, patience, alone)
            if self._failure or self._closing:
                job.future.set_exception(self._failure or PatchkitError("the worker is closed"))
                return job.future
            self._queue.append(job)
        self.start()
        self._wake()
        return job.future

    def tell(self, record: Record, order: Mapping[str, Any]) -> None:
        """Send an order to a run that takes them (``measure``); one that is over does not hear it."""
        with self._lock:
            runs = [run for run, job in self._running.items() if job.record is record]
        for run in runs:
            self._send({"tell": run, "order": dict(order)})

    def start(self) -> None:
        """Start the worker now, so that its import of vLLM overlaps with other work."""
        with self._lock:
            if self._thread is None and not self._closing:
                self._thread = threading.Thread(target=self._serve, name="patchkit worker", daemon=True)
                self._thread.start()

    def wait_ready(self) -> Ready:
        """Wait until vLLM is imported; PatchkitError with the worker's last words if that fails."""
        self.start()
        self._ready_or_not.wait()
        if self.ready is None:
            raise self._failure or PatchkitError("the worker was closed before it was ready")
        return self.ready

    def close(self) -> None:
        """End the worker and everything it forked; runs still queued are cancelled."""
        with self._lock:
            self._closing = True
        self._wake()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
            self._thread = None
        with contextlib.suppress(OSError):
            os.close(self._wake_write)
            os.close(self._wake_read)
        self._stderr.close()

    def __enter__(self) -> WorkerClient:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # The background thread: start, read, check the clock, end.

    def _serve(self) -> None:
        try:
            while not self._closing and not self._failure and self._starts < STARTS and self._launch():
                self._serve_process()
                self._end_process()
        except Exception as error:  # a defect of this client: no caller may wait for ever
            self._failure = self._failure or PatchkitError(
                f"the worker's client broke: {type(error).__name__}: {error}"
            )
        finally:
            self._end_process()
            self._fail_waiting()

    def _launch(self) -> bool:
        command = [str(self._environment.python), str(self._worker)]
        self._starts += 1
        self._stderr.seek(0)
        self._stderr.truncate()
        self._partial_line, self._garbage, self._accepting = b"", "", False
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env={**os.environ, **self._variables},
                start_new_session=True,
            )
        except OSError as error:
            self._failure = PatchkitError(f"cannot start {command[0]}: {error.strerror or error}")
            return False
        self._launched = time.monotonic()
        return True

    def _serve_process(self) -> None:
        """Serve one worker process until it ends or we close."""
        assert self._process and self._process.stdout
        stdout = self._process.stdout.fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            selector.register(self._wake_read, selectors.EVENT_READ)
            while not self._closing:
                self._dispatch()
                for key, _ in selector.select(timeout=0.25):
                    data = os.read(key.fd, 1 << 16)
                    if key.fd == stdout:
                        if not data:
                            self._handle_end()
                            return
                        self._read(data)
                if not self._check_clock():
                    return

    def _dispatch(self) -> None:
        """Send as many queued runs as may run now; one that must run alone waits for the others, and they for it."""
        while self._accepting:
            with self._lock:
                alone = any(job.alone for job in self._running.values())
                if not self._queue or alone or len(self._running) >= self._workers:
                    return
                if self._queue[0].alone and self._running:
                    return
                job = self._queue.popleft()
                if not job.future.set_running_or_notify_cancel():
                    continue
                job.began = job.last_event = time.monotonic()
                if self._gpus:
                    job.gpu = self._gpus.pop(0)
                    job.request["gpu"] = job.gpu
                self._running[job.request["run"]] = job
            if self._garbage:
                self._mark_running(f"the worker printed garbage: {self._garbage!r}")
                self._garbage = ""
            self._send(job.request)

    def _send(self, message: dict[str, Any]) -> None:
        process = self._process
        if process is None or process.stdin is None:
            return
        # A worker that is gone shows as the end of its output.
        with contextlib.suppress(OSError, ValueError):
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()

    def _read(self, data: bytes) -> None:
        *lines, self._partial_line = (self._partial_line + data).split(b"\n")
        for line in lines:
            text = line.decode(errors="backslashreplace").strip()
            if not text:
                continue
            try:
                event = read_event(text)
            except (ValueError, RecursionError):
                self._handle_garbage(text)
            else:
                self._handle_event(event)

    def _handle_garbage(self, text: str) -> None:
        """Every running job is red: which of its events were lost cannot be known."""
        quoted = text if len(text) <= 120 else f"{text[:119]}…"
        if self._running:
            self._mark_running(f"the worker printed garbage: {quoted!r}")
        else:
            self._garbage = quoted

    def _mark_running(self, trouble: str) -> None:
        for job in self._running.values():
            job.record.trouble = job.record.trouble or trouble

    def _handle_event(self, event: AnyEvent) -> None:
        if isinstance(event, Ready):
            self.ready, self._accepting = event, True
            self._ready_or_not.set()
            return
        job = self._running.get(event.run)
        if job is None:  # a late event of a run that was dropped
            return
        job.last_event = time.monotonic()
        if isinstance(event, Started):
            job.pid = event.pid
            return
        job.record.take(event)
        if isinstance(event, Exit):
            self._finish(job)

    def _finish(self, job: Job[Any]) -> None:
        with self._lock:
            if self._running.pop(job.request["run"], None) and job.gpu:
                self._gpus.append(job.gpu)
        job.record.seconds = time.monotonic() - job.began
        job.future.set_result(job.record)

    def _check_clock(self) -> bool:
        """Cancel runs over their limit, drop those that do not end; False if the worker never got ready."""
        now = time.monotonic()
        if not self._accepting and now - self._launched > self._ready_limit:
            self._failure = PatchkitError(
                f"the worker was not ready after {self._ready_limit:g} s{self._last_line()}", "see the environment"
            )
            return False
        for job in list(self._running.values()):
            if job.cancelled and now - job.cancelled > CANCEL_LIMIT:
                self._kill(job.pid)
                self._finish(job)
            elif not job.cancelled and (over := job.over_limit(now)):
                job.record.trouble = job.record.trouble or over
                job.cancelled = now
                self._send({"cancel": job.request["run"]})
        return True

    @staticmethod
    def _kill(pid: int) -> None:
        if pid > 0:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def _handle_end(self) -> None:
        """The worker closed its output: runs in flight are red; if it never got ready, no restart will help."""
        assert self._process
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
        code = self._process.poll()
        how = f"was killed by {signal_name(code)}" if code and code < 0 else f"ended with exit code {code}"
        if not self._accepting:
            self._failure = PatchkitError(
                f"the worker {how} before it was ready{self._last_line()}",
                f"try `{self._environment.python} -c 'import vllm'`",
            )
        self._mark_running(f"the worker {how}{self._last_line()}")
        for job in list(self._running.values()):
            self._kill(job.pid)
            self._finish(job)

    def _last_line(self) -> str:
        """The last line that the worker itself wrote to stderr, or what it printed instead of events."""
        self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, self._stderr.tell() - 8192))
        lines = [line for line in self._stderr.read().decode(errors="replace").splitlines() if line.strip()]
        words = lines[-1].strip() if lines else self._garbage
        return f": {words[:300]}" if words else ""

    def _end_process(self) -> None:
        """Close its input, wait briefly, then kill the worker's whole process session."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):
            assert process.stdin
            process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(3 if self._accepting and not self._running else 0.1)
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        for job in self._running.values():
            self._kill(job.pid)
        process.wait()
        assert process.stdout
        process.stdout.close()

    def _fail_waiting(self) -> None:
        """There is no worker any more: every future still open ends with the reason."""
        if not self._closing and self._failure is None:
            self._failure = PatchkitError(f"the worker died {self._starts} times", "see what it wrote to stderr")
        with self._lock:
            jobs = [*self._running.values(), *self._queue]
            self._running.clear()
            self._queue.clear()
        for job in jobs:
            waiting = self._failure is None and job.future.cancel()
            if not waiting and not job.future.done():
                job.future.set_exception(self._failure or PatchkitError("the worker was closed"))
        self._ready_or_not.set()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b".")


def request_for(
    part: Part,
    runtime: RuntimeDeclaration | None,
    request: dict[str, Any],
    release: str,
    engine: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], Run]:
    """The request for a part on a runtime and vLLM ``release``, and the record of its run.

    The record is unfit, and nothing can be run, where the part wants the runtime off and the runtime does not
    declare how that is done.
    """
    defaults = dict(runtime.defaults) if runtime else {}
    off = dict(runtime.off or {}) if runtime and part.off else {}
    given = [{**one, **off} for one in part.installs()]
    record = Run(part, runtime, [{**defaults, **one} for one in given])
    if part.off and (runtime is None or runtime.off is None):
        name = runtime.name if runtime else "the runtime"
        record.unfit = f"{name} does not say how it is off: declare `off`, its settings, in patches/{name}/runtime.yaml"
    fields = {
        "part": part.for_worker() | {"runtime": given, "engine": {**(engine or {}), **part.engine}},
        "start": runtime.start if runtime else "",
        "defaults": defaults,
        "counters": {name: counter.must_be for name, counter in runtime.counters.items()} if runtime else {},
        "probe": str(runtime.probe) if runtime and runtime.probe else None,
        "gates": str(runtime.gates) if runtime and part.checks else None,
    }
    if part.client and runtime and runtime.plugin:
        plugin = runtime.plugin
        fields["plugin"] = {
            "name": runtime.name,
            "variable": plugin.variable,
            "counters": runtime.served.counters if runtime.served else "",
            "arguments": plugin.needed(release),
        }
    return request | fields, record
