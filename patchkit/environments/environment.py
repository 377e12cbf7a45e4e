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
from patchkit.environments.running import variables_for
from patchkit.errors import PatchkitError
from patchkit.project import cache_home
from patchkit.release import release_name


@dataclass(frozen=True)
class Environment:
    """An interpreter with one vLLM release, and what a worker process needs in its environment (without the user's)."""

    release: str
    device: str
    python: Path
    variables: dict[str, str] = field(default_factory=dict)


def home() -> Path:
    """Folder of all environments."""
    return cache_home() / "environments"


def ensure(release: str, device: str, python: Path | None = None) -> Environment:
    """The environment of a vLLM release on "cpu" or "cuda"; or ``python`` checked and taken.

    One for the CPU is built if there is none; one with CUDA must have been, by `patchkit env`, for it is large.

    Two processes that want the same one build it once; the second waits.

    Raises:
        PatchkitError: unknown release, no room, no network, or ``python`` has another vLLM.
    """
    release = release_name(release)
    variables = variables_for(release, device)
    source = obtainable(release, device, python)
    if python is not None:
        return Environment(release, device, source, variables)
    if device != "cpu":
        return Environment(release, device, build.interpreter(source), variables)
    lock = source
    folder = home() / f"{release}-{device}"
    if not _current(folder, release, lock):
        _build_once(folder, release, lock)
    return Environment(release, device, build.interpreter(folder), variables)


def obtainable(release: str, device: str, python: Path | None = None) -> Path:
    """What the environment comes from, without building or downloading anything.

    Returns:
        ``python``, checked; or else the release's lock; or, with CUDA, the folder of the environment that was built.

    Raises:
        PatchkitError: unknown release, no environment with CUDA, or ``python`` has another vLLM.
    """
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


def _current(folder: Path, release: str, lock: Path) -> bool:
    """Whether ``folder`` holds a whole environment, made from ``lock`` as it is now."""
    facts = build.finished(folder)
    return facts is not None and facts.get("lock") == build.digest(lock, release)


def _build_once(folder: Path, release: str, lock: Path) -> None:
    with exclusive(folder):
        if _current(folder, release, lock):
            return
        log = folder.with_name(f"{folder.name}.log")
        with console.working(f"building the environment for vLLM {release} (once; log: {log})"):
            build.build(folder, release, lock, log, _say)


def _say(line: str) -> None:
    console.err.print(f"  {line}", style="dim", markup=False)


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
