"""Shards on the hosts of a Ray cluster: one actor each, which runs a worker and streams its events to the driver.

Ray finds the GPUs, starts the processes and notices when one is gone. The samples depend on the worker alone.
"""

from __future__ import annotations

import importlib
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from patchkit.bench.digests import digest
from patchkit.bench.shards import Drawing, Shard
from patchkit.console import working
from patchkit.errors import PatchkitError
from patchkit.gates.events import Ready, RunEvent
from patchkit.gates.worker_client import WORKER, WorkerClient
from patchkit.gates.workspace import Workspace

HEARTBEAT = 5.0  # seconds: the interval of an actor's empty messages
LOST = 120.0  # seconds without a message after which a host counts as gone, whatever Ray says
ANSWERED = 10.0  # seconds for a cluster to take a connection
PLACED = 120.0  # seconds for Ray to place and start the actors
CLOSING = 10.0  # seconds for an actor to end its worker, before it is killed
AT_ONCE = 64  # events of one message
STORE = 100 * 1024 * 1024  # bytes of Ray's object store on this host; what it passes on is gone at once
START = "`ray start --head` starts a cluster"
EVERYWHERE = "every host needs the same environment, model and tree, in the same places"


@contextmanager
def ray_shards(workspace: Workspace, count: int, address: str, worker: Path | None = None) -> Iterator[list[Shard]]:
    """``count`` workers on the hosts of a Ray cluster, one GPU each, or one CPU where the workspace's device is that.

    Args:
        address: ``auto`` or ``host:port`` of a cluster that this host belongs to; ``local`` starts one on this host.
        worker: what the environment's interpreter runs; as a rule patchkit's own.

    Raises:
        PatchkitError: there is no Ray, no cluster, too few resources, or a host is not like this one.
    """
    cuda = workspace.settings.device == "cuda"
    with ExitStack() as stack:
        silence = stack.enter_context(Path(os.devnull).open("w"))
        stack.enter_context(redirect_stdout(silence))  # Ray repeats its daemons' logs there, whatever its options say
        ray = stack.enter_context(connected(address, count, "GPU" if cuda else "CPU"))
        actor = ray.remote(
            num_cpus=1, num_gpus=int(cuda), max_restarts=0, max_concurrency=2, scheduling_strategy="SPREAD"
        )(WorkerActor)
        environment = workspace.environment
        variables = {**environment.variables, **workspace.variables}
        interpreter = NodeInterpreter(environment.release, environment.python, variables)
        actors = [actor.remote(interpreter, worker) for _ in range(count)]
        shards: list[RayShard] = []
        stack.callback(close, ray, actors, shards)
        with working(f"importing vLLM in {count} workers on Ray"):
            shards += place(ray, actors)
            begun = [shard.begin(digest(worker or WORKER)) for shard in shards]
            for shard, ref in zip(shards, begun, strict=True):
                check_alike(shard.name, shard.answer(ref), workspace.worker_client.wait_ready())
        yield list(shards)


@contextmanager
def connected(address: str, count: int, resource: str) -> Iterator[Any]:
    """Ray itself, connected to a cluster with at least ``count`` of a resource."""
    ray = import_ray()
    check_address(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    local = {"num_cpus": count, "include_dashboard": False, "object_store_memory": STORE} if address == "local" else {}
    try:
        try:
            with working(f"connecting to Ray ({address})"):
                ray.init(address=address, log_to_driver=False, logging_level="ERROR", **local)
        except Exception as error:  # no cluster, another release of Ray, another Python, no address
            raise PatchkitError(f"Ray ({address}): {reason(error)}", START) from None
        there = ray.cluster_resources().get(resource, 0)
        if there < count:
            raise PatchkitError(f"{count} shards, but Ray ({address}) has {there:g} {resource}", "ask for fewer")
        yield ray
    finally:
        ray.shutdown()


def check_address(address: str) -> None:
    """Check that the cluster answers, which would take Ray minutes."""
    if address in ("auto", "local"):
        return
    if "://" in address:
        raise PatchkitError(f"Ray ({address}): a client cannot stream", "run on a host of the cluster and say auto")
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=ANSWERED).close()
    except OSError as error:
        raise PatchkitError(f"Ray ({address}): {error.strerror or error}", START) from None
    except (ValueError, OverflowError):
        raise PatchkitError(f"Ray ({address}): no address", "say auto, local or host:port") from None


def import_ray() -> Any:
    """Ray, an optional dependency."""
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise PatchkitError(f"Ray is not there: {error}", "pip install 'patchkit[ray]'") from None


def place(ray: Any, actors: Sequence[Any]) -> list[RayShard]:
    """The shards, each with the host that Ray found for it."""
    hosts = [actor.host.remote() for actor in actors]
    placed, waiting = ray.wait(hosts, num_returns=len(hosts), timeout=PLACED)
    if waiting:
        raise PatchkitError(f"Ray placed {len(placed)} of {len(hosts)} shards within {PLACED:g} s", "see `ray status`")
    try:
        names = ray.get(hosts)
    except ray.exceptions.RayError as error:
        raise PatchkitError(
            f"Ray could not start a shard: {reason(error)}", "install this patchkit[ray] on every host of the cluster"
        ) from None
    seated = zip(actors, names, strict=True)
    return [RayShard(ray, actor, f"shard {number} on {name}") for number, (actor, name) in enumerate(seated, 1)]


def check_alike(name: str, there: Ready, here: Ready) -> None:
    """Check that a host has the same versions as this one."""
    for what in ("vllm", "torch", "transformers", "python"):
        if getattr(there, what) != getattr(here, what):
            raise PatchkitError(
                f"{name} has {what} {getattr(there, what)}, this host {getattr(here, what)}", EVERYWHERE
            )


def close(ray: Any, actors: Sequence[Any], shards: Sequence[RayShard]) -> None:
    """End every worker, then every actor."""
    with suppress(Exception):  # some may be dead
        ray.wait([actor.close.remote() for actor in actors], num_returns=len(actors), timeout=CLOSING)
    for actor in actors:
        with suppress(Exception):
            ray.kill(actor)
    for shard in shards:
        shard.join()


def reason(error: Exception) -> str:
    """The line of Ray's long message that gives the cause."""
    text = re.sub(r"\b[0-9a-f]{32,} ?", "", str(error))  # ids
    because = re.search(r"dead because (.+?)\.(?:\s|$)", text)
    raised = re.findall(r"^\s*(\w+(?:Error|Exception): .+)", text, re.MULTILINE)
    lines = [line for line in text.splitlines() if line.strip()]
    found = raised[-1:] or ([because[1]] if because else lines[:1]) or [type(error).__name__]
    return " ".join(str(found[0]).split())[:300]


class RayShard:
    """An actor, seen from the driver."""

    def __init__(self, ray: Any, actor: Any, name: str) -> None:
        self.name = name
        self._ray, self._actor = ray, actor
        self._thread: Thread | None = None

    def begin(self, worker: str) -> Any:
        """Have vLLM imported; the reference of its :class:`Ready`."""
        return self._actor.begin.remote(worker)

    def answer(self, ref: Any) -> Any:
        """What an actor answered; its refusal under the shard's name."""
        try:
            return self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, PatchkitError):
                raise PatchkitError(f"{self.name}: {error.cause.what}", error.cause.fix) from None
            raise

    def enqueue(self, request: Mapping[str, Any], record: Drawing, *, patience: float) -> Future[Drawing]:
        """Draw in the actor's worker; see :class:`Shard`."""
        future: Future[Drawing] = Future()
        future.set_running_or_notify_cancel()
        self._thread = Thread(target=self._follow, args=(request, record, patience, future), daemon=True)
        self._thread.start()
        return future

    def join(self) -> None:
        """Wait for the thread of the last request, once the actor is dead."""
        if self._thread is not None:
            self._thread.join(CLOSING)

    def _follow(self, request: Mapping[str, Any], record: Drawing, patience: float, future: Future[Drawing]) -> None:
        try:
            self._stream(request, record, patience)
        except PatchkitError as error:
            future.set_exception(error)
            return
        except Exception as error:  # Ray's, of many kinds: the actor or its host is gone
            record.trouble = f"{self.name} is lost: {reason(error)}"
        future.set_result(record)

    def _stream(self, request: Mapping[str, Any], record: Drawing, patience: float) -> None:
        folders = [
            folder for folder in map(request.get, ("model", "tree", "probe")) if folder and Path(folder).is_dir()
        ]
        same = {folder: digest(Path(folder)) for folder in folders}
        stream = self._actor.draw.options(num_returns="streaming").remote(dict(request), same, patience)
        while True:
            ready, _ = self._ray.wait([stream], timeout=LOST)
            if not ready:
                raise TimeoutError(f"no message for {LOST:g} s")
            message = self.answer(next(stream))
            if isinstance(message, StreamEnd):
                record.trouble, record.seconds = message.trouble_of(self.name), message.seconds
                return
            for event in message:
                record.take(event)


# In the actor's process.


@dataclass(frozen=True)
class NodeInterpreter:
    """What a worker needs of an environment."""

    release: str
    python: Path
    variables: dict[str, str]


@dataclass(frozen=True)
class StreamEnd:
    """The last message of a stream."""

    trouble: str
    seconds: float

    def trouble_of(self, name: str) -> str:
        """The trouble, if there was any, and where."""
        return f"{name}: {self.trouble}" if self.trouble else ""


@dataclass
class EventRelay:
    """The record of a draw while it is under way: events wait here for the stream."""

    inbox: SimpleQueue[RunEvent | None] = field(default_factory=SimpleQueue)
    trouble: str = ""
    seconds: float = 0.0

    def take(self, event: RunEvent) -> None:
        self.inbox.put(event)

    def collect(self) -> list[RunEvent]:
        """Wait up to ``HEARTBEAT`` seconds for an event; then return all that have arrived."""
        events: list[RunEvent | None] = []
        with suppress(Empty):
            events.append(self.inbox.get(timeout=HEARTBEAT))
            while len(events) < AT_ONCE:
                events.append(self.inbox.get_nowait())
        return [event for event in events if event is not None]


class WorkerActor:
    """The actor: one worker, of the environment that this host has. It sees the GPU that Ray gave to the actor."""

    def __init__(self, interpreter: NodeInterpreter, worker: Path | None) -> None:
        self._interpreter, self._worker = interpreter, worker or WORKER
        self._server = WorkerClient(interpreter, worker=self._worker)

    def host(self) -> str:
        """Where Ray put the actor."""
        return socket.gethostname()

    def begin(self, worker: str) -> Ready:
        """Import vLLM, if this host has the environment and the same patchkit."""
        if not self._interpreter.python.exists():
            raise PatchkitError(f"there is no {self._interpreter.python}", EVERYWHERE)
        if digest(self._worker) != worker:
            raise PatchkitError(f"another patchkit in {self._worker}", "install the same patchkit on every host")
        return self._server.wait_ready()

    def draw(
        self, request: Mapping[str, Any], same: Mapping[str, str], patience: float
    ) -> Iterator[list[RunEvent] | StreamEnd]:
        """The worker's events, several in a message and none in a heartbeat; then how it ended."""
        for folder, known in same.items():
            check_same(Path(folder), known)
        relay = EventRelay()
        future = self._server.enqueue(request, relay, patience=patience)
        future.add_done_callback(lambda _: relay.inbox.put(None))
        while not future.done() or not relay.inbox.empty():
            yield relay.collect()
        future.result()
        yield StreamEnd(relay.trouble, relay.seconds)

    def close(self) -> None:
        """End the worker and whatever it forked."""
        self._server.close()


def check_same(folder: Path, known: str) -> None:
    """Check that a folder of this host equals the driver's."""
    if not folder.is_dir():
        raise PatchkitError(f"there is no {folder}", EVERYWHERE)
    if digest(folder) != known:
        raise PatchkitError(f"{folder} is not what it is on the driver's host", EVERYWHERE)
