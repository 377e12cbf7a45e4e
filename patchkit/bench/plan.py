"""What is to be measured: models by tasks by modes, as ``matrix.yaml`` or the command line says it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from patchkit.documents import field_first, read_yaml
from patchkit.errors import PatchkitError
from patchkit.evals.records import BASELINE
from patchkit.gates.declared import Declared
from patchkit.project import find_project
from patchkit.release import release_name

SAMPLING: dict[str, Any] = {"temperature": 0.8, "top_p": 0.95, "min_p": 0.1}
MODE = re.compile(r"\w[\w.+-]*")
EXPONENT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+")


class TaskSpec(Declared, frozen=True):
    """A task with its options; see docs/tasks.md."""

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
        runtime: its name; the project's only one if not given.
        modes: ``baseline``, and the runtime by its name. Or names of modes, each with settings of the runtime on top of
            ``settings``, to be compared with the same baseline.
        n: samples a problem.
        trials: how often every mode is drawn; two baselines are the noise floor.
        seed: the seed of all samples.
        sampling: of ``vllm.SamplingParams``, the same in all modes, over :data:`SAMPLING`.
        engine: of ``vllm.LLM``, on top of what the workload asks for.
        settings: of the runtime's start function, in every mode.

    A default of ``sampling`` that is not named stays; an explicit null takes it away: ``sampling: {min_p: null}``.
    """

    vllm: str
    models: list[str]
    tasks: list[TaskSpec | str]
    device: Literal["cpu", "cuda"] = "cpu"
    runtime: str = ""
    modes: list[str] | dict[str, dict[str, Any]] = msgspec.field(default_factory=list)
    n: int = 16
    trials: int = 1
    seed: int = 0
    sampling: dict[str, Any] = msgspec.field(default_factory=lambda: dict(SAMPLING))
    engine: dict[str, Any] = msgspec.field(default_factory=dict)
    settings: dict[str, Any] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        self.not_empty("models", "tasks")
        self.at_least(1, "n", "trials")
        self.at_least(0, "seed")
        no_duplicates("models", self.models)
        if self.runtime == BASELINE:
            raise ValueError(f"runtime: {BASELINE} is what a runtime is compared with")
        if isinstance(self.modes, dict):
            self._check_named(self.modes)
        else:
            self._check_listed(self.modes)
        for taken in ("n", "seed", "max_tokens"):
            if taken in self.sampling:
                raise ValueError(f"sampling: {taken} has a field of its own")

    def _check_listed(self, modes: list[str]) -> None:
        no_duplicates("modes", modes)
        known = [BASELINE, self.runtime]
        for mode in modes:
            if mode not in known:
                raise ValueError(f"modes: there is no {mode!r}, only {' and '.join(known)}")
        if modes and BASELINE not in modes:
            raise ValueError(f"modes: without {BASELINE} there is nothing to compare with")

    def _check_named(self, modes: dict[str, dict[str, Any]]) -> None:
        for mode in modes:
            if not MODE.fullmatch(mode):
                raise ValueError(f"modes: {mode!r} is no name: letters, digits and . + - _ make one")
        if BASELINE in modes:
            raise ValueError(f"modes: {BASELINE} has no settings and is always drawn: leave it out")

    @property
    def all_modes(self) -> list[str]:
        """The baseline first."""
        return [BASELINE, *(mode for mode in self.modes or [self.runtime] if mode != BASELINE)]

    @property
    def settings_by_mode(self) -> dict[str, dict[str, Any]]:
        """Settings of each mode that has a name of its own."""
        return self.modes if isinstance(self.modes, dict) else {}

    def settings_of(self, mode: str) -> dict[str, Any]:
        """What the runtime is given in a mode, on top of its defaults; nothing in the baseline."""
        return {} if mode == BASELINE else {**self.settings, **self.settings_by_mode.get(mode, {})}

    @property
    def all_tasks(self) -> list[TaskSpec]:
        """Every task with its choices."""
        return [TaskSpec(task) if isinstance(task, str) else task for task in self.tasks]


def no_duplicates(field: str, names: list[str]) -> None:
    """Refuse a list with duplicates."""
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{field}: {name!r} is listed twice")


def read_plan(path: Path) -> Plan:
    """Read a ``matrix.yaml``; anything wrong with it is one line that names the file and the field."""
    return make_plan(read_yaml(path), str(path))


def make_plan(document: Any, where: str) -> Plan:
    """A plan of plain values; ``where`` they come from."""
    if isinstance(document, dict) and not document.get("runtime"):
        document = {**document, "runtime": find_project().only_runtime()}
    try:
        plan = msgspec.convert(document, Plan)
        given = {field: plain(getattr(plan, field), field) for field in ("sampling", "engine", "settings", "modes")}
    except (msgspec.ValidationError, ValueError, RecursionError) as error:
        reason = "nested without end" if isinstance(error, RecursionError) else field_first(str(error))
        hint = ' (quote releases: "0.20.0")' if reason.startswith("vllm: ") else ""
        raise PatchkitError(f"{where}: {reason}{hint}", "see docs/accuracy.md for what a matrix holds") from None
    given["sampling"] = over(SAMPLING, given["sampling"])
    return msgspec.structs.replace(plan, vllm=release_name(plan.vllm), **given)


def over(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults with what is given laid over them; a null takes a default away."""
    removed = {name for name, value in given.items() if value is None and name in defaults}
    return {name: value for name, value in {**defaults, **given}.items() if name not in removed}


def plain(value: Any, place: str) -> Any:
    """A value as JSON can carry it; ``1e-3``, which YAML takes for a text, is the number that it says.

    Raises:
        ValueError: it is a date, a set, not a finite number, or anything else that JSON has not.
    """
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str):
                raise ValueError(f"{place}: the name {name!r} is no text: quote it")
        return {name: plain(one, f"{place}.{name}") for name, one in value.items()}
    if isinstance(value, list):
        return [plain(one, f"{place}[{number}]") for number, one in enumerate(value)]
    if isinstance(value, str):
        return plain(float(value), place) if EXPONENT.fullmatch(value) else value
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{place}: {value} is no finite number")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(f"{place}: the number does not fit into 64 bits")
    if value is None or isinstance(value, (bool, int, float)):
        return value
    raise ValueError(f"{place}: a {type(value).__name__} is no plain value: quote it, or write it as text")
