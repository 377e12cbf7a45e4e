"""The evidence of a run, one JSON file: every figure, the exact command, versions and hardware."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from patchkit.files import read_as, write_atomically
from patchkit.gates.events import BatchShape
from patchkit.mode import Mode
from patchkit.model_runner import ModelRunner

if TYPE_CHECKING:
    from patchkit.series.worktree import Tree

Figure = float | int | str | None


class PartVerdict(msgspec.Struct, kw_only=True):
    """How one part of a scenario went; ``broken`` holds every reason against it, the first first."""

    name: str
    passed: bool
    broken: list[str] = msgspec.field(default_factory=list)
    figures: dict[str, Figure] = msgspec.field(default_factory=dict)
    seconds: float = 0.0
    load_seconds: float = 0.0
    steps: int = 0
    last_words: str = ""


class Verdict(msgspec.Struct, kw_only=True):
    """The result of a scenario; if red, the reason in one line, where, and which patch's symptom it resembles."""

    scenario: str
    kind: str = "gate"
    title: str = ""
    passed: bool
    reason: str = ""
    step: int | None = None
    shape: BatchShape | None = None
    resembles: str | None = None
    figures: dict[str, Figure] = msgspec.field(default_factory=dict)
    seconds: float = 0.0
    parts: list[PartVerdict] = msgspec.field(default_factory=list)

    @property
    def reasons(self) -> list[str]:
        """Every reason of every part, as ``part: reason``."""
        return [f"{part.name}: {reason}" for part in self.parts for reason in part.broken] or [self.reason]


class Brief(msgspec.Struct, kw_only=True):
    """A verdict as a cell of the knock-out matrix."""

    passed: bool
    reason: str = ""


class Knockout(msgspec.Struct, kw_only=True):
    """The series without one patch: ``caught`` if a gate of its Caught-By went red for the stated reason.

    Attributes:
        need: whether the release needs the patch, see ``patch_needed.py``; empty in older evidence.
        need_why: the clause that says why.
        named: the gates that its header names; empty in evidence that is older.
        left_with: patches that depend on it, and were left out too.
        applies_to: what its header says.
        narrowed: what its header should say; empty if the patch can go, None if nothing is to be changed.
        tree: git's hash of the files without it; empty if it could not be left out, or in evidence that is older.
    """

    patch: str
    caught: bool
    by: str | None = None
    reason: str = ""
    expected: str = ""
    named: list[str] = msgspec.field(default_factory=list)
    drift: int | None = None
    seconds: float = 0.0
    verdicts: dict[str, Brief] = msgspec.field(default_factory=dict)
    need: Literal["", "needed", "no longer needed", "harmful", "unknown"] = ""
    need_why: str = ""
    left_with: list[str] = msgspec.field(default_factory=list)
    applies_to: str = ""
    narrowed: str | None = None
    tree: str = ""


class RuntimeUsed(msgspec.Struct, kw_only=True):
    """The runtime and the patches it ran with.

    Attributes:
        commit: the last of its tree.
        tree: git's hash of its files; empty in evidence that is older.
        code: the hash of what runs of them, see ``series/code.py``; empty in evidence that is older.
    """

    name: str
    pin: str
    commit: str = ""
    tree: str = ""
    code: str = ""
    patches: list[str] = msgspec.field(default_factory=list)
    without: list[str] = msgspec.field(default_factory=list)

    @classmethod
    def of(cls, tree: Tree, without: Sequence[str] = ()) -> RuntimeUsed:
        """A patched tree, and the patches that were left out of it."""
        return cls(
            name=tree.runtime.name,
            pin=tree.pin,
            commit=tree.head,
            tree=tree.hash,
            code=tree.code,
            patches=[patch.name for patch in tree.taken],
            without=list(without),
        )

    def runs_code_of(self, other: RuntimeUsed) -> bool:
        """Whether what runs is the same, by the hash of the code, of the files or, in older evidence, of the commit.

        Another commit may hold the same files: its message is made of what the headers of the patches say. And other
        files may hold the same code, with other comments.
        """
        if self.tree:
            return self.tree == other.tree or (self.code != "" and self.code == other.code)
        return self.commit != "" and self.commit == other.commit


class Versions(msgspec.Struct, kw_only=True):
    """Versions in the environment."""

    python: str = ""
    torch: str = ""
    vllm: str = ""
    transformers: str | None = None


class Hardware(msgspec.Struct, kw_only=True):
    """The machine it ran on."""

    cpu: str = ""
    cores: int = 0
    memory_gib: float = 0.0
    gpu: str | None = None


class Circumstances(msgspec.Struct, kw_only=True):
    """How evidence was made.

    Attributes:
        runner: with which of vLLM's model runners; the first in evidence that is older, unknown through a server.
        runners_seen: the classes of those that ran, as the worker saw them; empty in evidence that is older.
        replaced: what of them was not vLLM's own, and so was not tested.
        mode: how vLLM ran the forward pass where a part does not say so; eagerly in evidence that is older.
        engine: settings of the engine beyond the usual ones, where a part does not give its own.
    """

    patchkit: str = "unknown"  # in evidence that does not say which wrote it
    command: str = ""
    began: str = ""
    seconds: float = 0.0
    release: str
    device: str
    runner: ModelRunner | Literal["unknown"] = "v1"
    runners_seen: list[str] = msgspec.field(default_factory=list)
    replaced: list[str] = msgspec.field(default_factory=list)
    mode: Mode = "eager"
    engine: dict[str, Any] = msgspec.field(default_factory=dict)
    runtime: RuntimeUsed
    versions: Versions = msgspec.field(default_factory=Versions)
    hardware: Hardware = msgspec.field(default_factory=Hardware)


class Evidence(Circumstances, kw_only=True):
    """One run of ``gate``, ``knockout`` or ``bench``.

    Attributes:
        not_taken: why a knock-out left patches alone.
        eager_only: parts of the scenarios that were not run, as ``scenario.part``, for they make sense eagerly alone.
        cuda_only: the same, for they make sense on CUDA alone.
    """

    kind: Literal["gate", "knockout", "bench"]
    runner: ModelRunner = "v1"  # always known: workers of our own ran
    verdicts: list[Verdict] = msgspec.field(default_factory=list)
    knockouts: list[Knockout] = msgspec.field(default_factory=list)
    not_taken: dict[str, str] = msgspec.field(default_factory=dict)
    eager_only: dict[str, str] = msgspec.field(default_factory=dict)
    cuda_only: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Everything judged is green, everything left out was caught, and there was something to judge."""
        judged = bool(self.verdicts or self.knockouts)
        return judged and all(v.passed for v in self.verdicts) and all(k.caught for k in self.knockouts)


def default_path(
    state: Path, name: str, release: str, device: str, runner: ModelRunner = "v1", mode: Mode = "eager"
) -> Path:
    """Where a run's evidence goes unless the user says otherwise."""
    return state / "evidence" / f"{name}-{placed(release, device, runner, mode)}.json"


def placed(release: str, device: str, runner: ModelRunner, mode: Mode = "eager") -> str:
    """Release, device, model runner and mode in the name of a file; the first runner and eager go without saying."""
    return f"{release}-{device}" + ("" if runner == "v1" else f"-{runner}") + ("" if mode == "eager" else f"-{mode}")


def to_json(evidence: Circumstances) -> str:
    """Indented JSON; a figure that is not a number becomes null."""
    return msgspec.json.format(msgspec.json.encode(evidence), indent=2).decode() + "\n"


def write_evidence(path: Path, evidence: Circumstances) -> None:
    """Write it whole or not at all."""
    write_atomically(path, to_json(evidence))


def read_evidence(path: Path) -> Evidence:
    """Read it back; a PatchkitError of one line for a file that is not evidence."""
    return read_as(Evidence, path, "patchkit's evidence")


def now() -> str:
    """This moment, ISO 8601 in UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def this_command() -> str:
    """The command line as the user typed it, without the folder patchkit lies in."""
    name = Path(sys.argv[0]).name
    return shlex.join(["patchkit" if name == "__main__.py" else name, *sys.argv[1:]])


def hardware(gpu: str | None) -> Hardware:
    """This machine."""
    return Hardware(cpu=cpu_name(), cores=len(os.sched_getaffinity(0)), memory_gib=memory_gib(), gpu=gpu)


def cpu_name() -> str:
    """The processor's model name, where Linux reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    named: dict[str, Any] = dict(line.split(":", 1) for line in lines if ":" in line)
    fields = {key.strip(): value.strip() for key, value in named.items()}
    return str(fields.get("model name", ""))


def memory_gib() -> float:
    """Memory of this machine, in GiB."""
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
