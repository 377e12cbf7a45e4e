"""One isolated environment per vLLM release and device: built once, then reused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from patchkit import console
from patchkit.environments import borrowed, build
from patchkit.environments.lock import find_lock
from patchkit.environments.running import WITH_BYTECODE, variables_for
from patchkit.environments.second_runner import check_runner
from patchkit.errors import PatchkitError
from patchkit.model_runner import ModelRunner
from patchkit.project import cache_home
from patchkit.release import release_name


@dataclass(frozen=True)
class Environment:
    """An interpreter with one vLLM release, and what a worker process needs in its environment (without the user's)."""

    release: str
    device: str
    python: Path
    variables: dict[str, str] = field(default_factory=dict)
    runner: ModelRunner = "v1"


def home() -> Path:
    return cache_home() / "environments"


def folder_of(release: str, device: str, runner: ModelRunner = "v1") -> Path:
    """Where the environment of a release on a device is, or would be; the second runner's is one of its own."""
    return home() / (f"{release}-{device}" + (f"-{runner}" if runner != "v1" else ""))


def ensure(release: str, device: str, python: Path | None = None, runner: ModelRunner = "v1") -> Environment:
    """The environment of a vLLM release on "cpu" or "cuda"; or ``python`` checked and taken.

    One for the CPU is built if there is none; one with CUDA must have been, by `patchkit env`, for it is large.

    ``runner`` is the model runner that vLLM is made to take.

    Two processes that want the same one build it once; the second waits.

    Raises:
        PatchkitError: unknown release, no room, no network, or ``python`` has another vLLM.
    """
    release = release_name(release)
    source = obtainable(release, device, python, runner)
    variables = variables_for(release, device, runner)
    if python is not None:
        return Environment(release, device, source, variables, runner)
    variables |= WITH_BYTECODE
    if device != "cpu":
        return Environment(release, device, build.interpreter(source), variables, runner)
    lock = source
    folder = folder_of(release, device, runner)
    if not _current(folder, release, lock, runner):
        _build_once(folder, release, lock, runner)
    return Environment(release, device, build.interpreter(folder), variables, runner)


def obtainable(release: str, device: str, python: Path | None = None, runner: ModelRunner = "v1") -> Path:
    """What the environment comes from, without building or downloading anything.

    Returns:
        ``python``, checked; or else the release's lock; or, with CUDA, the folder of the environment that was built.

    Raises:
        PatchkitError: unknown release, one without that ``runner``, no environment with CUDA, or ``python`` has
            another vLLM.
    """
    check_runner(release, device, runner)
    if python is not None:
        return borrowed.check(python, release_name(release))
    if device != "cpu":
        return _built(release_name(release), device)
    return find_lock(release, device)


def _built(release: str, device: str) -> Path:
    folder = home() / f"{release}-{device}"
    if build.finished(folder) is None:
        raise PatchkitError(
            f"no environment for vLLM {release} on {device} was built",
            f"`patchkit env --vllm {release} --device {device}` builds one, and says first what it downloads; "
            f"or use --python with an interpreter that has vLLM {release}",
        )
    return folder


def _current(folder: Path, release: str, lock: Path, runner: ModelRunner) -> bool:
    """Whether ``folder`` holds a whole environment, made from ``lock`` as it is now."""
    facts = build.finished(folder)
    return facts is not None and facts.get("lock") == build.digest(lock, release, runner)


def _build_once(folder: Path, release: str, lock: Path, runner: ModelRunner) -> None:
    with exclusive(folder):
        if _current(folder, release, lock, runner):
            return
        log = folder.with_name(f"{folder.name}.log")
        what = f"vLLM {release}" + (" with its second runner" if runner == "v2" else "")
        with console.working(f"building the environment for {what} (once; log: {log})"):
            build.build(folder, release, lock, log, runner)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Lock ``folder`` for writing; says so if it has to wait. The lock ends with the process that holds it.

    Raises:
        PatchkitError: the cache folder cannot be written.
    """
    guard = FileLock(f"{folder}.lock")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            guard.acquire(timeout=0)
        except Timeout:
            console.err.print(f"waiting: another patchkit is at work on {folder.name} …")
            guard.acquire()
    except OSError as error:
        why = error.strerror or error
        raise PatchkitError(
            f"cannot write to {folder.parent}: {why}", "set PATCHKIT_HOME to a folder you own"
        ) from error
    try:
        yield
    finally:
        guard.release()
