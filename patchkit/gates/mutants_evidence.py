"""The evidence of a run of the mutants: the score, and the outcome of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from patchkit.files import read_as
from patchkit.gates.evidence import Circumstances

Outcome = Literal["killed", "misattributed", "survived", "unknown", "equivalent"]
OUTCOMES: dict[Outcome, str] = {
    "killed": "a gate that its header names is red, for the reason in the header",
    "misattributed": "a gate is red, but the header says otherwise",
    "survived": "every gate is green",
    "unknown": "the worker itself failed, so the outcome is unknown",
    "equivalent": "every gate is green, and the header says why none can be red",
}
ACCEPTED_OUTCOMES = ("killed", "equivalent")


class GateRun(msgspec.Struct, kw_only=True):
    """A gate on the series without a mutant; if it is red, it proves nothing about mutants."""

    gate: str
    passed: bool
    reason: str = ""
    seconds: float = 0.0


class MutantRun(msgspec.Struct, kw_only=True):
    """One mutant: what is wrong with it, and its outcome.

    ``by`` is the red gate, ``reason`` its reason, or the worker's failure; ``expected`` is the header's Caught-By,
    ``equivalent`` its Equivalent. ``gates`` are those that it ran on, in order; ``seconds`` the sum over their runs.
    """

    mutant: str
    family: str
    what: str
    outcome: Outcome
    by: str | None = None
    reason: str = ""
    expected: str = ""
    equivalent: str = ""
    seconds: float = 0.0
    gates: list[str] = msgspec.field(default_factory=list)


class Score(msgspec.Struct, kw_only=True):
    """How many there are, were run, and count: all that were run, less the equivalent ones; ``percent`` is of those.

    ``killed``: all that turned a gate red; ``as_stated``: those that did so as their headers say.
    """

    there_are: int
    run: int
    equivalent: int
    counted: int
    killed: int
    as_stated: int
    misattributed: int
    survived: int
    unknown: int
    percent: float | None


class MutantsEvidence(Circumstances, kw_only=True):
    """One run of ``mutants``; ``chosen`` is how they were chosen, if not all of them were run.

    ``needs_cuda``: mutants for this release that were not run, for they are wrong on a GPU alone.
    """

    kind: Literal["mutants"] = "mutants"
    score: Score
    chosen: str = ""
    needs_cuda: list[str] = msgspec.field(default_factory=list)
    control: list[GateRun] = msgspec.field(default_factory=list)
    mutants: list[MutantRun] = msgspec.field(default_factory=list)

    @property
    def passed(self) -> bool:
        """The series itself is green, there were mutants, none survived, and every header is true."""
        fine = all(one.outcome in ACCEPTED_OUTCOMES for one in self.mutants)
        return bool(self.mutants) and fine and all(gate.passed for gate in self.control)

    def of(self, *outcomes: Outcome) -> list[MutantRun]:
        """The mutants with one of these outcomes."""
        return [one for one in self.mutants if one.outcome in outcomes]


def score(mutants: Sequence[MutantRun], there_are: int) -> Score:
    """The score of the mutants that were run; ``there_are`` so many for this release."""
    outcomes = Counter(one.outcome for one in mutants)
    counted = len(mutants) - outcomes["equivalent"]
    killed = outcomes["killed"] + outcomes["misattributed"]
    return Score(
        there_are=there_are,
        run=len(mutants),
        equivalent=outcomes["equivalent"],
        counted=counted,
        killed=killed,
        as_stated=outcomes["killed"],
        misattributed=outcomes["misattributed"],
        survived=outcomes["survived"],
        unknown=outcomes["unknown"],
        percent=round(100 * killed / counted, 1) if counted else None,
    )


def read_mutants_evidence(path: Path) -> MutantsEvidence:
    """Read it back; a PatchkitError of one line for any other file."""
    return read_as(MutantsEvidence, path, "patchkit's evidence of mutants")
