"""From runs to a verdict: judges every invariant of every part, and says which patch a red one resembles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from patchkit.gates.evidence import Figure, PartVerdict, Verdict
from patchkit.gates.invariants import Broken
from patchkit.gates.part_run import Run
from patchkit.gates.scenario import Scenario


class PatchSymptoms(Protocol):
    """The fields of a patch that a verdict needs."""

    @property
    def name(self) -> str: ...
    @property
    def drift(self) -> int: ...
    @property
    def caught_by(self) -> Sequence[tuple[str, re.Pattern[str]]]: ...


def judge(scenario: Scenario, runs: Sequence[Run], patches: Sequence[PatchSymptoms] = ()) -> Verdict:
    """Judge a scenario by the runs of its parts; fewer runs than parts are allowed only if the last is red."""
    judged = [judge_part(run) for run in runs]
    parts = [part for part, _ in judged]
    first = next(((part, broken) for part, broken in judged if broken), None)
    verdict = Verdict(
        scenario=scenario.name,
        title=scenario.title.strip(),
        passed=first is None and len(runs) == len(scenario.parts),
        figures=merged(parts),
        seconds=sum(part.seconds for part in parts),
        parts=parts,
    )
    if first:
        part, broken = first
        verdict.reason = f"{part.name}: {broken[0].reason}"
        verdict.step, verdict.shape = broken[0].step, broken[0].shape
        verdict.resembles = resembles(scenario.name, verdict.reason, patches)
    elif not verdict.passed:
        verdict.reason = f"{len(runs)} of {len(scenario.parts)} parts ran"
    return verdict


def judge_part(run: Run) -> tuple[PartVerdict, list[Broken]]:
    """Every invariant of one part. A run that did not finish is judged only by its ending."""
    figures: dict[str, Figure] = {}
    broken: list[Broken] = []
    ended_well = True
    for one, params in run.part.judged:  # those that judge the ending come first
        if not one.ending and not ended_well:
            break
        broken += one.check(run, params, figures)
        ended_well = ended_well and not (one.ending and (broken or not came_to_its_end(run)))
    verdict = PartVerdict(
        name=run.part.name,
        passed=not broken,
        broken=[one.reason for one in broken],
        figures=figures,
        seconds=round(run.seconds, 3),
        load_seconds=round(run.result.load_seconds, 3) if run.result else 0.0,
        steps=len(run.steps),
        last_words=run.last_words if broken else "",
    )
    return verdict, broken


def came_to_its_end(run: Run) -> bool:
    """Whether there is a result to judge; a run that was refused, as it should be, has none."""
    return run.error is None and run.result is not None


def merged(parts: Sequence[PartVerdict]) -> dict[str, Figure]:
    """The parts' figures in one mapping; a name that two parts use is prefixed with the part's name."""
    names = [name for part in parts for name in part.figures]
    return {
        name if names.count(name) == 1 else f"{part.name}.{name}": figure
        for part in parts
        for name, figure in part.figures.items()
    }


def resembles(scenario: str, reason: str, patches: Sequence[PatchSymptoms]) -> str | None:
    """The patches with a symptom that matches this reason; those that name this scenario are preferred."""
    exact = [patch for patch in patches if shows(patch, reason, scenario)]
    alike = exact or [patch for patch in patches if shows(patch, reason)]
    return " or ".join(f"drift {patch.drift} ({patch.name})" for patch in alike) or None


def shows(patch: PatchSymptoms, reason: str, scenario: str | None = None) -> bool:
    """Whether a reason matches a patch's Caught-By for a scenario, or for any."""
    return any(symptom.search(reason) for named, symptom in patch.caught_by if scenario in (None, named))
