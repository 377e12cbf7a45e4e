"""What is to be measured: models by tasks by modes, as ``matrix.yaml`` or the command line says it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from patchkit.errors import PatchkitError
from patchkit.evals.record import BASELINE
from patchkit.gates.declared import Declared

SAMPLING: dict[str, Any] = {"temperature": 0.8, "top_p": 0.95, "min_p": 0.1}
SETTINGS: dict[str, Any] = {"rank": 64, "beta": 0.8}


class TaskAsked(Declared, frozen=True):
    """A task, and what of it; see docs/tasks.md."""

    task: str
    first: int | None = None
    max_tokens: int | None = None
    grader: str | None = None
    data: str | None = None

    def __post_init__(self) -> None:
        self.at_least(1, "first", "max_tokens")


class Plan(Declared, frozen=True, kw_only=True):
    """A matrix; one model and one task are the smallest.

    Attributes:
        vllm: the release.
        modes: ``baseline``, and the runtime by its name.
        n: samples a problem.
        trials: how often every mode is drawn; two baselines are the noise floor.
        seed: what all samples are seeded from.
        sampling: of ``vllm.SamplingParams``, the same in all modes.
        engine: of ``vllm.LLM``, on top of what the workload asks for.
        settings: of the runtime's start function.
    """

    vllm: str
    models: list[str]
    tasks: list[TaskAsked | str]
    device: Literal["cpu", "cuda"] = "cpu"
    runtime: str = "esamp"
    modes: list[str] = msgspec.field(default_factory=list)
    n: int = 16
    trials: int = 1
    seed: int = 0
    sampling: dict[str, Any] = msgspec.field(default_factory=lambda: dict(SAMPLING))
    engine: dict[str, Any] = msgspec.field(default_factory=dict)
    settings: dict[str, Any] = msgspec.field(default_factory=lambda: dict(SETTINGS))

    def __post_init__(self) -> None:
        self.not_empty("models", "tasks")
        self.at_least(1, "n", "trials")
        self.at_least(0, "seed")
        for field in ("models", "modes"):
            self._no_twins(field)
        known = [BASELINE, self.runtime]
        for mode in self.modes:
            if mode not in known:
                raise ValueError(f"modes: there is no {mode!r}, only {' and '.join(known)}")
        if self.modes and BASELINE not in self.modes:
            raise ValueError(f"modes: without {BASELINE} there is nothing to compare with")
        for taken in ("n", "seed", "max_tokens"):
            if taken in self.sampling:
                raise ValueError(f"sampling: {taken} has a field of its own")

    def _no_twins(self, field: str) -> None:
        names = getattr(self, field)
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{field}: {name!r} is there twice")

    @property
    def all_modes(self) -> list[str]:
        """The baseline first."""
        return [BASELINE, *(mode for mode in self.modes or [self.runtime] if mode != BASELINE)]

    @property
    def all_tasks(self) -> list[TaskAsked]:
        """Every task with its choices."""
        return [TaskAsked(task) if isinstance(task, str) else task for task in self.tasks]


def read_plan(path: Path) -> Plan:
    """Read a ``matrix.yaml``; anything wrong with it is one line that names the file and the field."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PatchkitError(f"cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise PatchkitError(f"{path}: not a text file in UTF-8") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise PatchkitError(f"{path}: {where}not YAML ({getattr(error, 'problem', None) or error})") from None
    return make_plan(document, str(path))


def make_plan(document: Any, where: str) -> Plan:
    """A plan of plain values; ``where`` they come from."""
    try:
        return msgspec.convert(document, Plan)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `$")
        field = place.strip("`.")
        hint = ' (quote releases: "0.20.0")' if "got `float`" in what else ""
        raise PatchkitError(
            f"{where}: {f'{field}: ' if field else ''}{what}{hint}", "see docs/accuracy.md for what a matrix holds"
        ) from None
