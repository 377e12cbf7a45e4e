"""Mutants: the whole series, made wrong in one place at a time. A gate must go red, for the stated reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from patchkit.gates.evidence import Verdict
from patchkit.gates.mutants_evidence import GateRun, MutantRun, Outcome
from patchkit.gates.part_run import Run
from patchkit.gates.runner import Runner
from patchkit.gates.scenario import Part, Scenario
from patchkit.gates.worker_client import OVER_LIMIT
from patchkit.plural import shortened

if TYPE_CHECKING:
    from patchkit.series import Tree
    from patchkit.series.mutant import Mutant

LONGEST_REASON = 600  # characters of a reason that the evidence keeps


class TrialResult(NamedTuple):
    """The outcome of a mutant, the gate that decided it, and its reason."""

    outcome: Outcome
    by: str | None = None
    reason: str = ""


class GateFindings(NamedTuple):
    """The reasons of one gate against a mutant; ``trouble`` is a failure of the worker itself, which proves nothing."""

    reasons: Sequence[str] = ()
    trouble: str = ""


@dataclass
class MutantTrial:
    """A mutant, its tree, the gates that it ran on so far, the seconds that took, and its result, if there is one."""

    mutant: Mutant
    tree: Tree
    gates: list[str] = field(default_factory=list)
    seconds: float = 0.0
    result: TrialResult | None = None

    def record(self) -> MutantRun:
        """The trial as evidence; without a result its outcome is unknown."""
        outcome, by, reason = self.result or TrialResult("unknown")
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


Judge = Callable[[MutantTrial], TrialResult | None]


class MutantTrials:
    """Every mutant on the gates that its header names; those still green then on all others, the cheapest first.

    A gate judges mutants only once it is green on the unchanged series.
    """

    def __init__(
        self, runner: Runner, gates: Sequence[Scenario], mutants: Sequence[Mutant], trees: Mapping[str, Path]
    ) -> None:
        self._runner = runner
        self._gates = {gate.name: gate for gate in gates}
        self._trials = [
            MutantTrial(mutant, replace(runner.workspace.tree, path=trees[mutant.name])) for mutant in mutants
        ]
        self.control: dict[str, GateRun] = {}

    def run(self) -> Iterator[GateRun | MutantTrial]:
        """Judge every mutant, some at once. A gate that is red on the series itself leaves them unknown.

        Yields each gate that ran on the unchanged series, and each trial with a result.
        """
        named = {gate for trial in self._trials for gate, _ in trial.mutant.caught_by}
        if not (yield from self._run_control([name for name in self._gates if name in named])):
            return
        yield from self._judge_all([trial for trial in self._trials if trial.mutant.caught_by], self._run_named_gates)
        rest = [trial for trial in self._trials if trial.result is None]
        if not rest:
            return
        if (yield from self._run_control([name for name in self._gates if name not in named])):
            yield from self._judge_all(rest, self._run_other_gates)
        else:
            red = next(gate for gate in self.control.values() if not gate.passed)
            for trial in rest:
                trial.result = TrialResult("unknown", red.gate, f"red without a mutant: {red.reason}")

    @property
    def results(self) -> list[TrialResult]:
        """The results so far."""
        return [trial.result for trial in self._trials if trial.result]

    def records(self) -> list[MutantRun]:
        """The record of every mutant, in order; empty if none was judged."""
        judged = any(trial.result for trial in self._trials)
        return [trial.record() for trial in self._trials] if judged else []

    # The unchanged series.

    def _run_control(self, names: Sequence[str]) -> Generator[GateRun, None, bool]:
        """Run gates on the series without a mutant; whether all of them are green."""
        for name, verdict in self._runner.side_by_side(self._run_control_gate, names):
            seconds = round(verdict.seconds, 1)
            self.control[name] = GateRun(gate=name, passed=verdict.passed, reason=verdict.reason, seconds=seconds)
            yield self.control[name]
        return all(self.control[name].passed for name in names)

    def _run_control_gate(self, name: str) -> Verdict:
        return self._runner.run_until_red(self._gates[name], self._runner.workspace.tree)

    # Mutants.

    def _judge_all(self, trials: Sequence[MutantTrial], judge: Judge) -> Iterator[MutantTrial]:
        for trial, result in self._runner.side_by_side(judge, trials):
            trial.result = result
            if result:
                yield trial

    def _run_named_gates(self, trial: MutantTrial) -> TrialResult | None:
        """Killed if one of the named gates is red for its reason; if one is red for another, its header is wrong."""
        otherwise: TrialResult | None = None
        for name in dict.fromkeys(gate for gate, _ in trial.mutant.caught_by):
            wanted = [reason for gate, reason in trial.mutant.caught_by if gate == name]
            seen = self._run_gate(trial, self._gates[name], wanted)
            if seen.trouble:
                return TrialResult("unknown", name, seen.trouble)
            if matching := [reason for reason in seen.reasons if matches(reason, wanted)]:
                return TrialResult("killed", name, matching[0])
            if seen.reasons and otherwise is None:
                otherwise = TrialResult("misattributed", name, seen.reasons[0])
        return otherwise

    def _run_other_gates(self, trial: MutantTrial) -> TrialResult:
        """Any red gate kills it, though its header does not name that gate."""
        others = [name for name in self._gates if name not in trial.gates]
        for name in sorted(others, key=lambda name: self.control[name].seconds):
            seen = self._run_gate(trial, self._gates[name])
            if seen.trouble:
                return TrialResult("unknown", name, seen.trouble)
            if seen.reasons:
                return TrialResult("misattributed", name, seen.reasons[0])
        return TrialResult("equivalent" if trial.mutant.equivalent else "survived")

    def _run_gate(self, trial: MutantTrial, gate: Scenario, wanted: Sequence[re.Pattern[str]] = ()) -> GateFindings:
        """One gate, up to the first part that is red for a wanted reason; for any reason if none is wanted."""
        trial.gates.append(gate.name)
        reasons: list[str] = []
        for part in named_parts_first(gate.parts, wanted):
            run = self._run_part(trial, gate, part)
            if trouble := trouble_of(run):
                return GateFindings(trouble=trouble)
            judged = self._runner.judge(gate, [run], trial.tree).parts[0]
            found = [f"{part.name}: {reason}" for reason in judged.broken]
            reasons += found
            if found and (not wanted or any(matches(reason, wanted) for reason in found)):
                break
        return GateFindings(reasons)

    def _run_part(self, trial: MutantTrial, gate: Scenario, part: Part) -> Run:
        """One part; run a second time if the worker failed, which another run may have caused."""
        for _ in range(2):
            run = self._runner.run_part(gate, part, trial.tree)
            trial.seconds += run.seconds
            if not trouble_of(run):
                break
        return run


def matches(reason: str, wanted: Sequence[re.Pattern[str]]) -> bool:
    """Whether a reason is one of those that a header states."""
    return any(one.search(reason) for one in wanted)


def named_parts_first(parts: Sequence[Part], wanted: Sequence[re.Pattern[str]]) -> list[Part]:
    """The parts of a gate; first those that a wanted reason names as ``part: …``."""

    def named(part: Part) -> bool:
        return any(re.search(rf"(?<![\w-]){re.escape(part.name)}:", one.pattern) for one in wanted)

    return sorted(parts, key=lambda part: not named(part))


def trouble_of(run: Run) -> str:
    """A failure that the mutant need not have caused: the worker died or printed garbage, or memory ran out.

    A run over its time limit does count against the mutant, but only a header may call that a kill.
    """
    if run.trouble:
        return "" if run.trouble.startswith(OVER_LIMIT) else run.trouble
    killed = run.exit is not None and run.exit.signal in ("SIGKILL", 9)
    return "the run was killed by SIGKILL: is there enough memory?" if killed else ""
