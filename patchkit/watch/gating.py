"""The gates on a new release: whether an environment can be had, and ``patchkit gate`` run in a process of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from patchkit.console import detail
from patchkit.drift.index import DISTRIBUTIONS, Release
from patchkit.environments.borrowed import vllm_found
from patchkit.environments.lock import lock_file, make_lock
from patchkit.environments.second_runner import has_second_runner
from patchkit.errors import PatchkitError
from patchkit.files import shortest
from patchkit.gates.evidence import Evidence, placed, read_evidence
from patchkit.model_runner import ModelRunner
from patchkit.plural import counted
from patchkit.project import Project
from patchkit.proof.shortcoming import CurrentSeries, shortcoming
from patchkit.series.manifest import Manifest
from patchkit.watch.report import Outcome
from patchkit.watch.report_files import remove
from patchkit.watch.tick import NewRelease, RunnerGates

PATIENCE = 5.0  # seconds that the gates have to end their workers


@dataclass(frozen=True)
class GateTarget:
    """Where gates can run.

    Attributes:
        python: an interpreter with an installed release, ``has``.
        may_lock: whether a lock may be made for a release that has none.
    """

    device: str
    python: Path | None
    has: str
    may_lock: bool

    @classmethod
    def of(cls, device: str, python: Path | None, may_lock: bool) -> GateTarget:
        """Inspect the interpreter, if there is one.

        Raises:
            PatchkitError: it is no interpreter, or has no vLLM; or --lock is given where no lock is used.
        """
        if may_lock and (python is not None or device != "cpu"):
            raise PatchkitError("--lock is for environments that patchkit builds, on the CPU", "leave it out")
        return cls(device, python, vllm_found(python).release if python else "", may_lock)

    @property
    def builds(self) -> bool:
        """Whether environments are built here, from wheels for the CPU."""
        return self.python is None and self.device == "cpu"

    def lacking(self, release: Release) -> str:
        """Why the gates cannot be run on a release; empty if they can."""
        if self.python is not None:
            fits = self.has == release.text or self.has.startswith(f"{release.text}.post")
            return "" if fits else f"not gated: the interpreter has vLLM {self.has or 'of unknown version'}"
        if self.device != "cpu":
            return f"not gated: patchkit builds no {self.device} environments by itself; give --python"
        if self.locked(release):
            return ""
        wheels = [file for file in release.files if file.distribution == DISTRIBUTIONS[1] and file.yanked is None]
        if not any(file.fits for file in wheels):
            return (
                f"not gated: {DISTRIBUTIONS[1]} has no wheel of it for this machine yet; the gates wait for that, "
                "or for a GPU runner (`patchkit watch --device cuda --python PATH`)"
            )
        return "" if self.may_lock else f"not gated: no environment; `patchkit lock {release.text}` makes the lock"

    def locked(self, release: Release) -> bool:
        return lock_file(release.text, "cpu").is_file()


@dataclass(frozen=True)
class Ran:
    """How a process ended: its last line, and no exit code if it was terminated."""

    code: int | None
    last_words: str


@dataclass(frozen=True)
class Gates:
    """All the gates of a project, for one runtime.

    Attributes:
        runners: model runners with which they are run, where the release has them.
        limit: minutes after which they are red.
        folder: where evidence, logs and locks go.
    """

    project: Project
    manifest: Manifest
    places: GateTarget
    runners: Sequence[ModelRunner]
    limit: float
    folder: Path

    def prove(self, new_release: NewRelease, release: Release) -> None:
        """Run them on a new release, with each model runner, and record in ``new_release`` what came of it."""
        try:
            if self.places.python is None and not self.places.locked(release):
                new_release.lock = self._lock(release)
        except PatchkitError as error:
            new_release.outcome, new_release.why = "unproven", f"not gated: {error.what}"
            return
        has_second = has_second_runner(release.text, self.places.device)
        for runner in self.runners:
            if runner == "v1" or has_second:
                new_release.runs.append(self._run(release.text, runner))
        new_release.conclude()

    def _run(self, release: str, runner: ModelRunner) -> RunnerGates:
        file = self.folder / f"gate-{placed(release, self.places.device, runner)}.json"
        remove(file)
        words = command(self.manifest.name, release, runner, self.places, file)
        ran = run(words, file.with_suffix(".log"), self.limit)
        record = read_evidence(file) if file.is_file() else None
        return RunnerGates(runner, *self._judged(release, record, ran), record, file.name if record else None)

    def _lock(self, release: Release) -> str:
        lock = make_lock(release.text)
        shutil.copy(lock, self.folder / lock.name)
        return lock.name

    def _judged(self, release: str, record: Evidence | None, ran: Ran) -> tuple[Outcome, str]:
        if ran.code is None:
            return "red", f"the gates did not end within {self.limit:g} minutes"
        if record is None:
            return "unproven", f"the gates could not be run: {ran.last_words}"
        lack = shortcoming(record, CurrentSeries.of(self.project, self.manifest), release)
        if lack:
            return "unproven" if record.passed else "red", lack
        if ran.code != 0:
            return "unproven", f"`patchkit gate` ended with exit code {ran.code}"
        where = record.hardware.gpu or record.device
        return "proven", f"{counted(len(record.verdicts), 'gate')} green on {where}"


def runners_of(manifest: Manifest, device: str) -> list[ModelRunner]:
    """The first model runner, and the second once the runtime was proven with it on a device."""
    return ["v1", *(["v2"] if manifest.table.releases("v2", device) else [])]  # type: ignore[list-item]


def command(runtime: str, release: str, runner: ModelRunner, places: GateTarget, evidence: Path) -> list[str]:
    """The command line that runs every gate on a release; the evidence records it, so its paths are short."""
    words = ["gate", "--runtime", runtime, "--vllm", release, "--device", places.device]
    words += [] if runner == "v1" else ["--runner", runner]
    words += ["--evidence", shortest(evidence), *(["--python", str(places.python)] if places.python else [])]
    return [sys.executable, "-m", "patchkit", *words]


def run(words: list[str], log: Path, limit: float) -> Ran:
    """Run a command with its output on stderr and in ``log``; after ``limit`` minutes it is terminated."""
    late = threading.Event()
    said: list[str] = []
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True
    )

    def give_up() -> None:
        late.set()
        end(process)

    timer = threading.Timer(limit * 60, give_up)
    timer.daemon = True  # or a tick that is ended now would wait for it
    try:
        timer.start()
        with log.open("w", encoding="utf-8") as file:
            for line in process.stdout or ():
                said.append(line.strip())
                file.write(line)
                detail(f"  {line.rstrip()}")
        process.wait()
    finally:
        timer.cancel()
        end(process)
    errors = [line.removeprefix("patchkit: ") for line in said if line.startswith("patchkit: ")]
    last = (errors or [line for line in said if line] or ["it said nothing"])[-1]
    return Ran(None if late.is_set() else process.returncode, last)


def end(process: subprocess.Popen[str]) -> None:
    """Interrupt a process as Ctrl-C does; kill it and its children if it does not end."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
