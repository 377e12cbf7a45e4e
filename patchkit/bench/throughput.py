"""Plain vLLM and the runtime in turn, A B A B, on one device: the ratio of their tokens/s, if the runtime is alive."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Protocol

from patchkit.bench.engines import EngineError, EngineProcess
from patchkit.bench.liveness import RequiredCounters
from patchkit.bench.server_liveness import grown
from patchkit.bench.throughput_evidence import (
    MemoryOverSteps,
    MemoryPoint,
    Ratio,
    StepProfile,
    ThroughputRow,
    Timing,
)
from patchkit.bench.throughput_plan import Load, SettingsGiven, ThroughputPlan
from patchkit.evals.paired_ratio import paired_ratio
from patchkit.gates.events import Drawn, Loaded, Measured
from patchkit.mode import Mode

POINTS = 10  # at which memory is looked at


class Measurable(Protocol):
    """An engine that is measured; see :class:`patchkit.bench.engines.EngineProcess`."""

    def wait_loaded(self) -> Loaded: ...
    def run(self, order: Mapping[str, Any]) -> Measured: ...
    def close(self) -> None: ...


MakeEngine = Callable[[Mode, SettingsGiven | None], Measurable]
"""Loads an engine in a mode: plain vLLM, or the runtime with settings."""
Required = Callable[[SettingsGiven], RequiredCounters]
"""What the runtime's counters must be under settings."""


@dataclass
class Findings:
    """What was measured so far."""

    rows: list[ThroughputRow] = field(default_factory=list)
    profiles: list[StepProfile] = field(default_factory=list)
    memory: list[MemoryOverSteps] = field(default_factory=list)
    engines: dict[str, dict[str, Any]] = field(default_factory=dict)
    runners: set[str] = field(default_factory=set)


class ThroughputBench:
    """Measures a plan. Engines are held at once, plain vLLM in every mode and the runtime in one; one works at a time.

    Args:
        make: loads an engine.
        required: tells what the counters must be.
        say: called with what is under way, in a few words.
    """

    def __init__(
        self, plan: ThroughputPlan, make: MakeEngine, required: Required, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self._plan, self._make, self._required, self._say = plan, make, required, say
        self.found = Findings()

    def rows(self) -> Iterator[ThroughputRow]:
        """Each row as soon as it is measured."""
        for row in self._rows():
            self.found.rows.append(row)
            yield row

    def _rows(self) -> Iterator[ThroughputRow]:
        with ExitStack() as stack:
            plain: dict[Mode, Measurable] = {}
            broken: dict[Mode, str] = {}
            for mode in self._plan.modes:
                try:
                    plain[mode] = stack.enter_context(self._engine(mode, None))
                except EngineError as error:
                    broken[mode] = f"plain vLLM: {error}"
            for mode in self._plan.modes:
                for given in self._plan.settings:
                    if mode in broken:
                        yield from (self._error(mode, given, load, broken[mode]) for load in self._plan.loads)
                    else:
                        yield from self._with_runtime(mode, given, plain)

    @contextmanager
    def _engine(self, mode: Mode, given: SettingsGiven | None) -> Iterator[Measurable]:
        name = f"plain {mode}" if given is None else f"{mode} {given.name}"
        self._say(f"loading {name}")
        engine = self._make(mode, given)
        try:
            loaded = engine.wait_loaded()
            self.found.engines[name] = loaded.engine
            self.found.runners.update(loaded.runners)
            yield engine
        finally:
            engine.close()

    def _with_runtime(
        self, mode: Mode, given: SettingsGiven, plain: Mapping[Mode, Measurable]
    ) -> Iterator[ThroughputRow]:
        """Every load with one engine of the runtime; one that breaks is loaded again for the next load."""
        waiting, name = list(self._plan.loads), f"{mode} {given.name}"
        while waiting:
            measured: ThroughputRow | None = None
            of_engine: list[ThroughputRow] = []
            try:
                with self._engine(mode, given) as patched:
                    while waiting:
                        measured = None
                        measured = self._row(mode, given, waiting[0], plain, patched)
                        load = waiting.pop(0)
                        yield measured
                        of_engine += [measured] if measured.ratio else []
                        self._further(mode, given, load, plain[mode], patched)
                    for row in of_engine if self._plan.uninstalled else ():
                        self._after_uninstall(mode, row, plain[mode], patched)
            except EngineError as error:
                if measured is not None:
                    measured.why = f"it broke after that: {error}"
                    continue
                failed = waiting[:1] if name in self.found.engines else waiting
                yield from (self._error(mode, given, load, str(error)) for load in failed)
                waiting = waiting[len(failed) :]

    def _row(
        self,
        mode: Mode,
        given: SettingsGiven,
        load: Load,
        plain: Mapping[Mode, Measurable],
        patched: Measurable,
    ) -> ThroughputRow:
        """One load on every side, and what it comes to."""
        sides: dict[str, Measurable] = {**{f"plain {name}": engine for name, engine in plain.items()}, "": patched}
        ran = self._in_turn(sides, load, f"{mode} {given.name}, {load}")
        runs = {name: ran[f"plain {name}"] for name in plain}
        return self._judge(mode, given, load, runs, ran[""])

    def _after_uninstall(self, mode: Mode, row: ThroughputRow, plain: Measurable, own: Measurable) -> None:
        """Give a row the ratio of the engine without the runtime to plain vLLM in the same mode, or say why not."""
        load, sides = Load(row.prompts, row.samples), {f"plain {mode}": plain, "": own}
        name = f"{mode} {row.settings}, {load}, after uninstall()"
        try:
            without, alone = self._in_turn(sides, load, name, uninstalled=True).values()
        except EngineError as error:
            row.why = f"after uninstall(): {error}"
            return
        wrong = self._unlike(load, {mode: without}, alone) or self._still_there(alone)
        if wrong:
            row.why = f"after uninstall(): {wrong}"
        else:
            row.uninstalled = ratio(*([done.tokens / done.seconds for done in runs] for runs in (without, alone)))

    def _still_there(self, runs: Sequence[Measured]) -> str:
        """Why the runtime is not known to be gone, or an empty string: it still returns its counters, which stay."""
        for number, done in enumerate(runs, 1):
            if not (done.before and done.after):
                return f"the runtime returned no counters in pair {number}"
            for name, value in done.after.items():
                before = done.before.get(name)
                if value != before:
                    return f"the runtime is still at work in pair {number}: {name} is {value}, and was {before}"
        return ""

    def _in_turn(self, sides: dict[str, Measurable], load: Load, name: str, **more: Any) -> dict[str, list[Measured]]:
        """Warm-up, then the pairs, whose order alternates; what each side's runs of the pairs gave."""
        ran: dict[str, list[Measured]] = {side: [] for side in sides}
        for number in range(-1, self._plan.pairs):
            self._say(f"{name}: {'warm-up' if number < 0 else f'pair {number + 1}'}")
            for side in sides if number % 2 else reversed(sides):
                try:
                    done = sides[side].run(self._order(load, number + 1, **more))
                except EngineError as error:
                    raise EngineError(
                        f"{side.replace('plain', 'plain vLLM,')}: {error}" if side else str(error)
                    ) from None
                if number >= 0:
                    ran[side].append(done)
        return ran

    def _order(self, load: Load, seed: int, **more: Any) -> dict[str, Any]:
        return {"prompts": load.prompts, "n": load.samples, "tokens": self._plan.tokens, "seed": seed, **more}

    def _judge(
        self,
        mode: Mode,
        given: SettingsGiven,
        load: Load,
        plain: Mapping[Mode, Sequence[Measured]],
        patched: Sequence[Measured],
    ) -> ThroughputRow:
        rates = {name: [done.tokens / done.seconds for done in runs] for name, runs in plain.items()}
        fastest = max(rates, key=lambda name: median(rates[name]))
        row = ThroughputRow(
            mode=mode,
            settings=given.name,
            given=dict(given.values),
            prompts=load.prompts,
            samples=load.samples,
            standing="alive",
            plain={name: [timing(done) for done in runs] for name, runs in plain.items()},
            patched=[timing(done) for done in patched],
            fastest=fastest,
            plain_peak=max(done.memory.peak for done in plain[mode]),
            patched_peak=max(done.memory.peak for done in patched),
        )
        row.why = self._unlike(load, plain, patched) or self._dead(given, load, patched)
        if row.why:
            row.standing = "dead"
            return row
        own = [done.tokens / done.seconds for done in patched]
        row.ratio, row.same_mode = ratio(rates[fastest], own), ratio(rates[mode], own)
        if self._plan.device == "cpu" and all(done.cpu_seconds for done in (*plain[fastest], *patched)):
            row.cpu_ratio = ratio(
                *([done.tokens / done.cpu_seconds for done in runs] for runs in (plain[fastest], patched))
            )
        return row

    def _unlike(self, load: Load, plain: Mapping[Mode, Sequence[Measured]], patched: Sequence[Measured]) -> str:
        """Why the sides did not do the same work, or an empty string."""
        due = load.rows * self._plan.tokens
        for name, runs in (*((f"plain vLLM, {mode}", runs) for mode, runs in plain.items()), ("the runtime", patched)):
            for number, done in enumerate(runs, 1):
                if done.tokens != due:
                    return f"{name}: {done.tokens:,} of {due:,} tokens in pair {number}"
        return ""

    def _dead(self, given: SettingsGiven, load: Load, patched: Sequence[Measured]) -> str:
        """Why the runtime was not at work in some run, or an empty string."""
        required = self._required(given)
        for number, done in enumerate(patched, 1):
            wrong = list(required.wrong(counters_of(done) or {}, drawn(done), load.rows))
            if wrong:
                return f"the runtime was not at work in pair {number}: {', '.join(wrong)}"
        return ""

    def _error(self, mode: Mode, given: SettingsGiven, load: Load, why: str) -> ThroughputRow:
        return ThroughputRow(
            mode=mode,
            settings=given.name,
            given=dict(given.values),
            prompts=load.prompts,
            samples=load.samples,
            standing="error",
            why=why,
        )

    def _further(self, mode: Mode, given: SettingsGiven, load: Load, plain: Measurable, patched: Measurable) -> None:
        """The profile of a load, and memory over many steps of the first one, if they are asked for."""
        where: dict[str, Any] = {"mode": mode, "settings": given.name, "prompts": load.prompts, "samples": load.samples}
        if tokens := min(self._plan.profile_tokens, self._plan.tokens):
            self._say(f"{mode} {given.name}, {load}: profile")
            order = self._order(load, 0, tokens=tokens, profile=True)
            self.found.profiles.append(
                StepProfile(**where, plain=plain.run(order).profile, patched=patched.run(order).profile)
            )
        if self._plan.memory_steps and load == self._plan.loads[0]:
            points = list(self._memory(load, patched, f"{mode} {given.name}, {load}"))
            self.found.memory.append(MemoryOverSteps(**where, points=points))

    def _memory(self, load: Load, patched: Measurable, name: str) -> Iterator[MemoryPoint]:
        """Memory at ten points, evenly over the steps that are wanted."""
        steps, number = 0, 0
        wanted = self._plan.memory_steps
        due = [wanted * (point + 1) // POINTS for point in range(POINTS)]
        while due:
            self._say(f"{name}: memory, {steps:,} of {wanted:,} steps")
            done = patched.run(self._order(load, number))
            steps, number = steps + max(1, done.decode_steps), number + 1
            if steps >= due[0]:
                yield MemoryPoint(steps=steps, used=done.memory.used, peak=done.memory.peak)
                due = [one for one in due if one > steps]


def counters_of(done: Measured) -> dict[str, Any] | None:
    """The runtime's counters over one run; None in plain vLLM."""
    return None if done.after is None else grown(done.before or {}, done.after)


def timing(done: Measured) -> Timing:
    """One run as evidence keeps it."""
    return Timing(
        seconds=done.seconds,
        tokens=done.tokens,
        cpu_seconds=done.cpu_seconds,
        decode_rows=done.decode_rows,
        decode_steps=done.decode_steps,
        counters=counters_of(done),
    )


def drawn(done: Measured) -> Drawn:
    """What the worker counted, as :class:`RequiredCounters` compares it."""
    return Drawn(
        run=done.run,
        seconds=done.seconds,
        tokens=done.tokens,
        steps=done.steps,
        decode_rows=done.decode_rows,
        decode_steps=done.decode_steps,
    )


def ratio(plain: Sequence[float], patched: Sequence[float]) -> Ratio:
    """Of paired rates."""
    found = paired_ratio(plain, patched)
    return Ratio(median=found.median, low=found.low, high=found.high, confidence=found.confidence, pairs=found.pairs)


def engine_maker(client: Any, plan: ThroughputPlan, model: str, tree: Any, device: str) -> MakeEngine:
    """Engines in the worker of a workspace.

    Args:
        client: the worker's client.
        model: folder or hub id.
        tree: the patched runtime.
    """

    def make(mode: Mode, given: SettingsGiven | None) -> EngineProcess:
        request = {
            "model": model,
            "tree": str(tree.path) if given is not None else None,
            "start": tree.runtime.start,
            "defaults": tree.runtime.defaults,
            "device": device,
            "measure": {
                "patched": given is not None,
                "runtime": dict(given.values) if given is not None else {},
                "engine": plan.engine_settings(mode),
                "random_weights": plan.random_weights,
                "prompts": plan.prompts,
                "sampling": dict(plan.sampling),
            },
        }
        return EngineProcess(client, request)

    return make
