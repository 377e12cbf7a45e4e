"""Mutants: the whole series, made wrong in one place at a time. A gate must be red, and for the stated reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from patchkit.gates.evidence import Verdict
from patchkit.gates.mutants_evidence import GateRun, MutantRun, Outcome
from patchkit.gates.run import Run
from patchkit.gates.runner import Runner
from patchkit.gates.scenario import Part, Scenario
from patchkit.plural import shortened

if TYPE_CHECKING:
    from patchkit.series import Tree
    from patchkit.series.mutant import Mutant

LONGEST_REASON = 600  # characters of a reason that the evidence keeps
FINE = ("killed", "equivalent")


class End(NamedTuple):
    """What became of a mutant, at which gate, and what that said."""

    outcome: Outcome
    by: str | None = None
    reason: str = ""


class Seen(NamedTuple):
    """What one gate said of a mutant; ``trouble`` is the worker's own, from which nothing follows."""

    reasons: Sequence[str] = ()
    trouble: str = ""


@dataclass
class Trial:
    """A mutant, its tree, the gates that it ran on so far, the seconds that took, and how it ended, if it did."""

    mutant: Mutant
    tree: Tree
    gates: list[str] = field(default_factory=list)
    seconds: float = 0.0
    end: End | None = None

    def record(self) -> MutantRun:
        """It as evidence; what did not end is not known."""
        outcome, by, reason = self.end or End("unknown")
        return MutantRun(
            mutant=self.mutant.name,
            family=self.mutant.family,
            what=self.mutant.subject,
            outcome=outcome,
            by=by,
            reason=shortened(reason, LONGEST_REASON),
            expected=self.mutant.expected,
            equivalent=self.mutant.equivalent,
            seconds=round(self.seconds, 1),
            gates=self.gates,
        )


Judge = Callable[[Trial], End | None]


class Trials:
    """Every mutant on the gates that its header names; those that are green still, on all others, the cheapest first.

    A gate judges mutants only after it was green on the series as it is.
    """

    def __init__(
        self, runner: Runner, gates: Sequence[Scenario], mutants: Sequence[Mutant], trees: Mapping[str, Path]
    ) -> None:
        self._runner = runner
        self._gates = {gate.name: gate for gate in gates}
        self._trials = [Trial(mutant, replace(runner.rig.tree, path=trees[mutant.name])) for mutant in mutants]
        self.control: dict[str, GateRun] = {}

    def run(self) -> Iterator[GateRun | Trial]:
        """Judge every mutant, some at once. A gate that is red on the series itself leaves those it meets unknown.

        Yields each gate that ran on the series as it is, and each trial that came to its end.
        """
        named = {gate for trial in self._trials for gate, _ in trial.mutant.caught_by}
        if not (yield from self._judge_series([name for name in self._gates if name in named])):
            return
        yield from self._judge_all([trial for trial in self._trials if trial.mutant.caught_by], self._on_named)
        rest = [trial for trial in self._trials if trial.end is None]
        if not rest:
            return
        if (yield from self._judge_series([name for name in self._gates if name not in named])):
            yield from self._judge_all(rest, self._on_others)
        else:
            red = next(gate for gate in self.control.values() if not gate.passed)
            for trial in rest:
                trial.end = End("unknown", red.gate, f"red without a mutant: {red.reason}")

    @property
    def ends(self) -> list[End]:
        """How the mutants ended that came to their end."""
        return [trial.end for trial in self._trials if trial.end]

    def records(self) -> list[MutantRun]:
        """What became of every mutant, in their order; nothing if none was judged."""
        judged = any(trial.end for trial in self._trials)
        return [trial.record() for trial in self._trials] if judged else []

    # The series as it is.

    def _judge_series(self, names: Sequence[str]) -> Generator[GateRun, None, bool]:
        """Run gates on the series without a mutant; whether all of them are green."""
        for name, verdict in self._runner.side_by_side(self._run_series, names):
            seconds = round(verdict.seconds, 1)
            self.control[name] = GateRun(gate=name, passed=verdict.passed, reason=verdict.reason, seconds=seconds)
            yield self.control[name]
        return all(self.control[name].passed for name in names)

    def _run_series(self, name: str) -> Verdict:
        return self._runner.run_until_red(self._gates[name], self._runner.rig.tree)

    # Mutants.

    def _judge_all(self, trials: Sequence[Trial], judge: Judge) -> Iterator[Trial]:
        for trial, end in self._runner.side_by_side(judge, trials):
            trial.end = end
            if end:
                yield trial

    def _on_named(self, trial: Trial) -> End | None:
        """Killed if one of the named gates is red for its reason; if one is red for another, its header is wrong."""
        otherwise: End | None = None
        for name in dict.fromkeys(gate for gate, _ in trial.mutant.caught_by):
            wanted = [reason for gate, reason in trial.mutant.caught_by if gate == name]
            seen = self._on(trial, self._gates[name], wanted)
            if seen.trouble:
                return End("unknown", name, seen.trouble)
            if told := [reason for reason in seen.reasons if matches(reason, wanted)]:
                return End("killed", name, told[0])
            if seen.reasons and otherwise is None:
                otherwise = End("misattributed", name, seen.reasons[0])
        return otherwise

    def _on_others(self, trial: Trial) -> End:
        """Any red gate kills it, but its header named none that is."""
        others = [name for name in self._gates if name not in trial.gates]
        for name in sorted(others, key=lambda name: self.control[name].seconds):
            seen = self._on(trial, self._gates[name])
            if seen.trouble:
                return End("unknown", name, seen.trouble)
            if seen.reasons:
                return End("misattributed", name, seen.reasons[0])
        return End("equivalent" if trial.mutant.equivalent else "survived")

    def _on(self, trial: Trial, gate: Scenario, wanted: Sequence[re.Pattern[str]] = ()) -> Seen:
        """One gate, up to the first part that is red for a wanted reason, or, where none is wanted, that is red."""
        trial.gates.append(gate.name)
        reasons: list[str] = []
        for part in telling_first(gate.parts, wanted):
            run = self._run_part(trial, gate, part)
            if trouble := trouble_of(run):
                return Seen(trouble=trouble)
            judged = self._runner.judge(gate, [run], trial.tree).parts[0]
            found = [f"{part.name}: {reason}" for reason in judged.broken]
            reasons += found
            if found and (not wanted or any(matches(reason, wanted) for reason in found)):
                break
        return Seen(reasons)

    def _run_part(self, trial: Trial, gate: Scenario, part: Part) -> Run:
        """One part; once more where the worker was in trouble, which another's run may have brought upon it."""
        for _ in range(2):
            run = self._runner.run_part(gate, part, trial.tree)
            trial.seconds += run.seconds
            if not trouble_of(run):
                break
        return run


def matches(reason: str, wanted: Sequence[re.Pattern[str]]) -> bool:
    """Whether a reason is one of those that a header states."""
    return any(one.search(reason) for one in wanted)


def telling_first(parts: Sequence[Part], wanted: Sequence[re.Pattern[str]]) -> list[Part]:
    """The parts of a gate, those first that a wanted reason names as ``part: …``."""

    def named(part: Part) -> bool:
        return any(re.search(rf"(?<![\w-]){re.escape(part.name)}:", one.pattern) for one in wanted)

    return sorted(parts, key=lambda part: not named(part))


def trouble_of(run: Run) -> str:
    """What went wrong that need not be the mutant's doing: the worker died or printed garbage, or memory ran out.

    A run that takes longer than its limit is the mutant's: it is red, though only a header may call that a kill.
    """
    if run.trouble:
        return "" if run.trouble.startswith("hung") else run.trouble
    killed = run.exit is not None and run.exit.signal in ("SIGKILL", 9)
    return "the run was killed by SIGKILL: is there enough memory?" if killed else ""
