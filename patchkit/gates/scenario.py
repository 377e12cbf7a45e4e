"""A scenario: a workload and its invariants, as a YAML file declares them; see also loading.py."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec.structs import replace
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from patchkit.documents import field_first, read_yaml
from patchkit.errors import PatchkitError
from patchkit.gates.client_call import ClientCall
from patchkit.gates.declared import Declared
from patchkit.gates.invariants import Invariant, find_invariant
from patchkit.gates.invariants.base import Params, Table, knowing
from patchkit.gates.prompts import Prompts
from patchkit.mode import Mode
from patchkit.model_runner import ModelRunner


class Group(Declared, frozen=True):
    """Requests of one call that share how they are sampled."""

    prompts: Prompts
    max_tokens: int | tuple[int, int]
    n: int = 1
    sampling: dict[str, Any] = msgspec.field(default_factory=dict)
    seed: int | None = None
    watched: bool = False

    def __post_init__(self) -> None:
        self.at_least(1, "n", "max_tokens")
        self.at_least(0, "seed")
        self.span("max_tokens")


class Abort(Declared, frozen=True):
    """Prompts to abort after so many steps of a call."""

    step: int
    prompts: list[int]

    def __post_init__(self) -> None:
        self.at_least(1, "step")
        self.at_least(0, "prompts")
        self.not_empty("prompts")


class Call(Declared, frozen=True):
    """One ``generate()``."""

    groups: list[Group]
    abort: Abort | None = None

    def __post_init__(self) -> None:
        self.not_empty("groups")


Fault = Literal[
    "runner_replaced",
    "prepare_inputs_bypassed",
    "prepare_inputs_reordered",
    "sampler_bypassed",
    "request_ids_changed",
    "norm_swapped",
]


class Injection(Declared, frozen=True):
    """A fault injected once in mid-run: before a call, or after so many of its steps."""

    fault: Fault
    call: int
    step: int | None = None

    def __post_init__(self) -> None:
        self.at_least(0, "call")
        self.at_least(1, "step")


class VllmRefusal(Declared, frozen=True):
    """Where vLLM itself refuses what a part asks for: the part is run all the same, and the refusal must be seen."""

    runner: ModelRunner
    vllm: str
    naming: str

    def __post_init__(self) -> None:
        self.is_pattern("naming")
        _ = self._releases

    @property
    def _releases(self) -> SpecifierSet:
        try:
            return SpecifierSet(self.vllm)
        except InvalidSpecifier as error:
            raise ValueError(f"vllm: {self.vllm!r} is not like <0.26.0") from error

    def holds(self, release: str, runner: ModelRunner) -> bool:
        """Whether it is for this release and model runner."""
        return runner == self.runner and self._releases.contains(release)


Settings = dict[str, Any]

UNDELAYED = 2
"""Repeats of a part with delays that have none: two, so that it is known whether the part repeats itself."""


class Part(Declared, frozen=True, dict=True):
    """One engine of a scenario, from load to result; see docs/worker-protocol.md."""

    name: str
    invariants: list[str | dict[str, dict[str, Any] | None]]
    calls: list[Call] = msgspec.field(default_factory=list)
    checks: str = ""
    client: list[ClientCall] = msgspec.field(default_factory=list)
    model: str = "tiny"
    engine: dict[str, Any] = msgspec.field(default_factory=dict)
    runtime: Settings | list[Settings] = msgspec.field(default_factory=dict)
    environ: dict[str, str] = msgspec.field(default_factory=dict)
    faults: tuple[Fault | Injection, ...] = ()
    passes: tuple[Literal["plain", "patched"], ...] = ("patched",)
    repeat: int = 1
    watch: tuple[Literal["poison", "distributions", "timing"], ...] = ()
    off: bool = False
    refused_by_vllm: tuple[VllmRefusal, ...] = ()
    delays: bool = False
    eager_only: str = ""
    cuda_only: str = ""

    def __post_init__(self) -> None:
        self.named()
        if self.eager_only and not self.engine.get("enforce_eager", True):
            raise ValueError("eager_only: the engine of this part has enforce_eager: false")
        self.not_empty("passes", *([] if self.checks or self.client else ["calls"]))
        self.at_least(1, "repeat")
        if self.runtime == []:
            raise ValueError("runtime is empty")
        if "timing" in self.watch and len(self.watch) > 1:
            raise ValueError("watch: timing stands alone: whatever else is watched takes time")
        for fault in self.faults:
            if isinstance(fault, Injection) and fault.call >= len(self.calls):
                raise ValueError(f"faults: there is no call {fault.call}, only {len(self.calls)}")
            if isinstance(fault, Injection) and fault.step and "timing" in self.watch:
                raise ValueError("faults: steps are not counted where only timing is watched")
        if not self.invariants:
            raise ValueError("a part without invariants proves nothing")
        judged = self.judged
        for one, _ in judged:
            one.check_fits(self)
        names = {one.name for one, _ in judged}
        self._check_checks(names)
        self._check_client()
        self._check_delays(names)
        alone = {"refused_by_vllm"} if "refused_or_right" in names else {"refused", "refused_by_vllm"}
        for name in alone & names:
            if len(judged) > 1:
                raise ValueError(f"{name} stands alone: a run that ends in an error has nothing else to judge")
        if self.refused_by_vllm and (self.checks or self.client):
            raise ValueError("refused_by_vllm is for a part with calls")

    def _check_checks(self, judged: set[str]) -> None:
        """A part either makes calls or runs the runtime's own checks, never both."""
        if self.checks and (self.calls or self.faults or self.watch or self.off or self.repeat > 1):
            raise ValueError("checks stand alone: a part with them has no calls, faults, watch, off or repeat")
        if self.checks and not self.checks.isidentifier():
            raise ValueError(f"checks names a module of the runtime's gates folder, not {self.checks!r}")
        if self.checks and judged != {"finished", "checks_hold"}:
            raise ValueError("a part with checks is judged by checks_hold alone")
        if not self.checks and "checks_hold" in judged:
            raise ValueError("checks_hold needs `checks: MODULE`")

    def _check_client(self) -> None:
        """A part with a client has a server, which is one engine, and the calls are the client's."""
        if not self.client:
            return
        if self.calls or self.checks or self.watch or self.off or self.repeat > 1 or isinstance(self.runtime, list):
            raise ValueError("client stands alone: a part with it has no calls, checks, watch, off or repeat")
        if any(isinstance(fault, Injection) for fault in self.faults):
            raise ValueError("faults: a server gets them before its engine, so give names alone")
        names = [call.name for call in self.client]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"client: two calls are named {name!r}")

    def _check_delays(self, judged: set[str]) -> None:
        """A part with delays is one that can show something: on CUDA, unobserved, with passes to compare."""
        if not self.delays and "delayed" in judged:
            raise ValueError("delayed needs `delays: true`")
        if not self.delays:
            return
        if not self.cuda_only:
            raise ValueError("delays: a CPU has one stream: say with cuda_only why the part is left out there")
        if self.checks or self.client or self.faults or self.watch:
            raise ValueError("delays: a part with them has no checks, client, faults or watch: observing waits")
        if self.repeat <= UNDELAYED:
            raise ValueError(f"delays: the first {UNDELAYED} of its `repeat` have none, so repeat it more often")

    def for_worker(self) -> dict[str, Any]:
        """The part as the worker receives it: everything but what is judged here, and where it is left out."""
        fields: dict[str, Any] = msgspec.to_builtins(self)
        for name in ("invariants", "refused_by_vllm", "eager_only", "cuda_only"):
            fields.pop(name, None)
        return fields | {"runtime": self.installs()}

    def on(self, release: str, runner: ModelRunner) -> Part:
        """The part as it is judged there: where vLLM refuses what it asks for, by that alone."""
        for refusal in self.refused_by_vllm:
            if refusal.holds(release, runner):
                return replace(self, invariants=[{"refused_by_vllm": {"naming": refusal.naming}}])
        return self

    def left_out(self, mode: Mode, device: str) -> str:
        """Why it makes no sense in a mode or on a device; empty where it does."""
        if mode != "eager" and self.eager_only:
            return f"eager only: {self.eager_only}"
        return f"CUDA only: {self.cuda_only}" if device != "cuda" and self.cuda_only else ""

    def installs(self) -> list[Settings]:
        """The settings of each install of the runtime; most parts have one."""
        return self.runtime if isinstance(self.runtime, list) else [self.runtime]

    @property
    def delayed_repeats(self) -> int:
        """How many of its repeats have delays."""
        return max(self.repeat - UNDELAYED, 0) if self.delays else 0

    @cached_property
    def judged(self) -> list[tuple[Invariant, Params]]:
        """The invariants with their parameters; the ending of the run is always judged, and first.

        Looked up when the part is made, while its runtime's own invariants are registered.
        """
        found = [(find_invariant(name), given) for name, given in map(_single, self.invariants)]
        if not any(one.ending for one, _ in found):
            found.insert(0, (find_invariant("finished"), {}))
        found.sort(key=lambda both: not both[0].ending)
        return [(one, one.read(given)) for one, given in found]


class Scenario(Declared, frozen=True):
    """A workload and its invariants.

    Attributes:
        timeout: seconds that a part may be silent before it counts as hung; in all it may take three times as long.
            Each step is an event; a part with ``checks`` or ``client`` is silent until it is done.
        releases: those that it is for, ``">=0.23.0"``, empty for all.
    """

    name: str
    title: str
    guards: str
    parts: list[Part]
    order: int = 100
    timeout: float = 120.0
    alone: bool = False
    releases: str = ""

    def __post_init__(self) -> None:
        self.named()
        self.not_empty("title", "guards", "parts")
        try:
            SpecifierSet(self.releases)
        except InvalidSpecifier:
            raise ValueError(f'releases: {self.releases!r} names no releases; write them as ">=0.23.0"') from None
        self.at_least(1, "timeout")
        if "\n" in self.title.strip():
            raise ValueError("title must be one line")
        names = [part.name for part in self.parts]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two parts are named {name!r}")

    def fitting(self, mode: Mode, device: str) -> Scenario | None:
        """With the parts that make sense in a mode and on a device; None if none does."""
        parts = [part for part in self.parts if not part.left_out(mode, device)]
        return replace(self, parts=parts) if parts else None

    def eager_only(self) -> dict[str, str]:
        """The parts that run eagerly alone, as ``scenario.part``, and why."""
        return {f"{self.name}.{part.name}": part.eager_only for part in self.parts if part.eager_only}

    def cuda_only(self) -> dict[str, str]:
        """The parts that run on CUDA alone, as ``scenario.part``, and why."""
        return {f"{self.name}.{part.name}": part.cuda_only for part in self.parts if part.cuda_only}

    def left_out_whole(self, mode: Mode, device: str) -> str:
        """Why no part of it makes sense there, in a clause; empty if one does."""
        whys = dict.fromkeys(part.left_out(mode, device) for part in self.parts)
        return "" if "" in whys else f"{self.name} is {'; '.join(whys)}"

    def is_for(self, release: str) -> bool:
        """Whether it is for a release of vLLM."""
        return SpecifierSet(self.releases).contains(release, prereleases=True)

    @property
    def serves(self) -> bool:
        """Whether a part of it starts a server."""
        return any(part.client for part in self.parts)


def load_scenario(source: Path | Any, own: Table | None = None, where: str = "") -> Scenario:
    """Read one scenario; a PatchkitError of one line names the file and the field that is wrong.

    Args:
        source: a file, or its parsed content.
        own: invariants of a runtime, allowed beside the shared ones.
        where: name of the source in messages.
    """
    name = where or (str(source) if isinstance(source, Path) else "scenario")
    raw = read_yaml(source) if isinstance(source, Path) else source
    try:
        with knowing(own or {}):
            return msgspec.convert(raw, Scenario)
    except msgspec.ValidationError as error:
        raise PatchkitError(f"{name}: {field_first(str(error))}", "see docs/worker-protocol.md") from None


def select(scenarios: dict[str, Scenario], only: Iterable[str] = (), release: str | None = None) -> list[Scenario]:
    """The scenarios that are for a release (None: for any), or those of them that ``only`` names."""
    able = {name: scenario for name, scenario in scenarios.items() if release is None or scenario.is_for(release)}
    for name in only:
        if name in scenarios and name not in able:
            raise PatchkitError(
                f"{name} is for vLLM {scenarios[name].releases}, not {release}", "leave it out, or name another release"
            )
        if name not in able:
            raise PatchkitError(f"no gate is named {name!r}", f"there are {', '.join(able) or 'none'}")
    return [scenario for name, scenario in able.items() if not only or name in only]


def running_order(scenario: Scenario) -> tuple[int, str]:
    """As the files say."""
    return scenario.order, scenario.name


def _single(invariant: str | dict[str, dict[str, Any] | None]) -> tuple[str, dict[str, Any]]:
    if isinstance(invariant, str):
        return invariant, {}
    if len(invariant) != 1:
        raise ValueError(f"an invariant is a name or one `name: {{parameters}}`, not {sorted(invariant)}")
    ((name, given),) = invariant.items()
    return name, given or {}
