"""A scenario: a workload and what must hold under it, as declared in ``scenarios/*.yaml``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec

from patchkit.documents import field_first, read_yaml
from patchkit.errors import PatchkitError
from patchkit.gates.declared import Declared
from patchkit.gates.invariants import Invariant, find_invariant
from patchkit.gates.invariants.base import Params


class Prompts(Declared, frozen=True):
    """Prompts of one kind; the same seed makes the same prompts."""

    kind: Literal["random", "arithmetic"]
    count: int
    tokens: int | tuple[int, int] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        self.at_least(1, "count", "tokens")
        self.at_least(0, "seed")
        self.span("tokens")
        if self.kind == "random" and self.tokens is None:
            raise ValueError("random prompts need `tokens`, their length or a span of lengths")


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
    """Prompts taken out of a call after so many of its steps."""

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


Doctoring = Literal[
    "runner_replaced",
    "prepare_inputs_bypassed",
    "prepare_inputs_reordered",
    "sampler_bypassed",
    "request_ids_changed",
    "norm_swapped",
]


class Part(Declared, frozen=True):
    """One engine of a scenario, from load to result; see docs/worker-protocol.md."""

    name: str
    calls: list[Call]
    invariants: list[str | dict[str, dict[str, Any] | None]]
    model: str = "tiny"
    engine: dict[str, Any] = msgspec.field(default_factory=dict)
    runtime: dict[str, Any] = msgspec.field(default_factory=dict)
    environ: dict[str, str] = msgspec.field(default_factory=dict)
    doctor: tuple[Doctoring, ...] = ()
    passes: tuple[Literal["plain", "patched"], ...] = ("patched",)
    repeat: int = 1
    watch: tuple[Literal["gold", "poison", "distributions", "intervention", "timing"], ...] = ()

    def __post_init__(self) -> None:
        self.named()
        self.not_empty("calls", "passes")
        self.at_least(1, "repeat")
        if not self.invariants:
            raise ValueError("a part without invariants proves nothing")
        rules = self.rules()
        for rule, _ in rules:
            rule.check_fits(self)
        if len(rules) > 1 and any(rule.name == "refused" for rule, _ in rules):
            raise ValueError("refused stands alone: a run that ends in an error has nothing else to judge")

    def for_worker(self) -> dict[str, Any]:
        """What the worker is told: everything but what must hold."""
        told: dict[str, Any] = msgspec.to_builtins(self)
        told.pop("invariants", None)
        return told

    def rules(self) -> list[tuple[Invariant, Params]]:
        """The invariants with their parameters; how the run ended is always judged, and first."""
        named = [*map(_single, self.invariants)]
        if not any(name == "refused" for name, _ in named):
            named.insert(0, ("finished", {}))
        found = [(find_invariant(name), given) for name, given in named]
        return [(rule, rule.read(given)) for rule, given in found]


class Scenario(Declared, frozen=True):
    """A workload and what must hold under it."""

    name: str
    title: str
    guards: str
    parts: list[Part]
    kind: Literal["gate", "benchmark"] = "gate"
    order: int = 100
    timeout: float = 120.0
    alone: bool = False

    def __post_init__(self) -> None:
        self.named()
        self.not_empty("title", "guards", "parts")
        self.at_least(1, "timeout")
        if "\n" in self.title.strip():
            raise ValueError("title must be one line")
        names = [part.name for part in self.parts]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two parts are named {name!r}")

    @property
    def needs_quiet(self) -> bool:
        """It measures speed, so nothing may run beside it."""
        return self.alone or self.kind == "benchmark"


def load_scenario(source: Path | dict[str, Any]) -> Scenario:
    """Read one scenario; anything wrong with it is one line that names the file and the field."""
    name = str(source) if isinstance(source, Path) else "scenario"
    raw = read_yaml(source) if isinstance(source, Path) else source
    try:
        return msgspec.convert(raw, Scenario)
    except msgspec.ValidationError as error:
        raise PatchkitError(f"{name}: {field_first(str(error))}", "see docs/worker-protocol.md") from None


def load_scenarios(folder: Path) -> dict[str, Scenario]:
    """Every scenario of a folder by name: gates first, then benchmarks, each in their own order."""
    scenarios: dict[str, Scenario] = {}
    for path in sorted(folder.glob("*.yaml")):
        scenario = load_scenario(path)
        if scenario.name in scenarios:
            raise PatchkitError(f"{path}: there is a second scenario named {scenario.name!r}", "rename one of them")
        scenarios[scenario.name] = scenario
    if not scenarios:
        raise PatchkitError(f"no scenario in {folder}", "a scenario is a YAML file; see docs/worker-protocol.md")
    return {scenario.name: scenario for scenario in sorted(scenarios.values(), key=running_order)}


def select(scenarios: dict[str, Scenario], kind: str, only: Iterable[str] = ()) -> list[Scenario]:
    """The scenarios of one kind, or those of them that ``only`` names."""
    able = {name: scenario for name, scenario in scenarios.items() if scenario.kind == kind}
    for name in only:
        if name in scenarios and name not in able:
            verb = "bench" if scenarios[name].kind == "benchmark" else "gate"
            raise PatchkitError(f"{name} is a {scenarios[name].kind}, not a {kind}", f"run it with `patchkit {verb}`")
        if name not in able:
            raise PatchkitError(f"no {kind} is named {name!r}", f"there are {', '.join(able) or 'none'}")
    return [scenario for name, scenario in able.items() if not only or name in only]


def running_order(scenario: Scenario) -> tuple[bool, int, str]:
    """Gates before benchmarks, then as the files say."""
    return scenario.kind == "benchmark", scenario.order, scenario.name


def _single(rule: str | dict[str, dict[str, Any] | None]) -> tuple[str, dict[str, Any]]:
    if isinstance(rule, str):
        return rule, {}
    if len(rule) != 1:
        raise ValueError(f"an invariant is a name or one `name: {{parameters}}`, not {sorted(rule)}")
    ((name, given),) = rule.items()
    return name, given or {}
