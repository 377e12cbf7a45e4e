"""Tables of release by gate and runner, patch by gate and family by gate, as data for their templates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from packaging.version import Version

from patchkit.gates.evidence import Circumstances, Evidence, Verdict
from patchkit.gates.mutants_evidence import MutantRun
from patchkit.release import version_of
from patchkit.report import phrases
from patchkit.report.site.sources import Filed, Sources
from patchkit.report.site.trees import Standing, Trees

State = Literal["green", "red", "unknown"]
CellState = Literal["green", "red", "unknown", "absent"]
MARKS: dict[CellState, str] = {"green": "✓", "red": "✗", "unknown": "·", "absent": ""}


@dataclass(frozen=True)
class GateCell:
    """One gate in one run: its state, why in text, and where the whole text is.

    Attributes:
        link: of the text on a page; empty where there is none.
        named: whether the patch's header says that this gate must be red.
    """

    gate: str
    state: CellState
    why: str = ""
    link: str = ""
    named: bool = False


@dataclass(frozen=True)
class ReleaseRun:
    """One gate evidence as a row: which runner, which tree, what each gate said."""

    filed: Filed[Evidence]
    standing: Standing
    cells: list[GateCell]

    @property
    def runner(self) -> str:
        """``cpu``, ``cuda, H200``."""
        return runner(self.filed.record)

    @property
    def green(self) -> int:
        return sum(cell.state == "green" for cell in self.cells)

    @property
    def due(self) -> int:
        """How many gates there are for its release."""
        return sum(cell.state != "absent" for cell in self.cells)

    @property
    def state(self) -> State:
        """Green only if every gate is, and on the project's tree; red if one is red on it; else not known."""
        if self.standing != "this tree" or not self.filed.record.verdicts:
            return "unknown"
        states = {cell.state for cell in self.cells} - {"absent"}
        return "red" if "red" in states else "unknown" if "unknown" in states else "green"


@dataclass(frozen=True)
class ReleaseRow:
    """A release, with the runs on it; none where there is no evidence."""

    release: str
    runs: list[ReleaseRun]

    @property
    def state(self) -> State:
        """Red if any run is red, green if any is green and none red; without evidence, unknown."""
        states = {run.state for run in self.runs}
        return "red" if "red" in states else "green" if "green" in states else "unknown"


@dataclass(frozen=True)
class Support:
    """Release by gate and runner, of one runtime, the newest release first."""

    runtime: str
    gates: list[str]
    rows: list[ReleaseRow]

    def of(self, state: State) -> list[ReleaseRow]:
        return [row for row in self.rows if row.state == state]

    @property
    def stretches(self) -> list[list[ReleaseRow]]:
        """The rows, those without evidence that follow each other together."""
        found: list[list[ReleaseRow]] = []
        for row in self.rows:
            if not row.runs and found and not found[-1][-1].runs:
                found[-1].append(row)
            else:
                found.append([row])
        return found


def runner(evidence: Circumstances) -> str:
    """What a run ran on: the device, the GPU if there was one, the second model runner and graphs if they were used."""
    gpu = evidence.hardware.gpu
    second = phrases.second(evidence).partition(" (")[0]  # what was replaced stands on the run's own page
    return f"{evidence.device}{f', {phrases.short_gpu(gpu)}' if gpu else ''}{second}{phrases.compiled(evidence)}"


def supports(sources: Sources, trees: Trees) -> list[Support]:
    names = [filed.record.runtime.name for filed in sources.gates]
    names += [step.runtime for filed in sources.drifts for step in filed.record]
    return [_support(name, sources, trees) for name in dict.fromkeys(names)]


def state_of(supports: Sequence[Support], runtime: str, release: str) -> State:
    """The state of one release of one runtime; unknown if no evidence names it."""
    rows = [row for support in supports if support.runtime == runtime for row in support.rows]
    return next((row.state for row in rows if row.release == release), "unknown")


def _support(runtime: str, sources: Sources, trees: Trees) -> Support:
    mine = [filed for filed in sources.gates if filed.record.runtime.name == runtime]
    judged = [verdict.scenario for filed in mine for verdict in filed.record.verdicts]
    gates = list(dict.fromkeys([*trees.gates(runtime), *judged]))  # a gate that was in no run is unknown, not absent
    runs: dict[str, list[ReleaseRun]] = {release: [] for release in _releases_read(runtime, sources)}
    for filed in sorted(mine, key=lambda filed: runner(filed.record)):
        due = trees.gates(runtime, filed.record.release, filed.record.mode, filed.record.device)
        run = ReleaseRun(filed, trees.standing(filed.record), [_cell(filed, gate, due) for gate in gates])
        runs.setdefault(filed.record.release, []).append(run)
    order = sorted(runs, key=_as_version, reverse=True)
    return Support(runtime, gates, [ReleaseRow(release, runs[release]) for release in order])


def _releases_read(runtime: str, sources: Sources) -> Iterable[str]:
    """Releases that evidence of any other kind names."""
    for filed in sources.drifts:
        for step in filed.record:
            if step.runtime == runtime:
                yield from (step.old.release, step.new.release)
    for watch in sources.watches:
        if watch.record.runtime == runtime:
            yield from (one.release for one in watch.record.releases)


def _as_version(release: str) -> Version:
    return version_of(release) or Version("0")


def _cell(filed: Filed[Evidence], gate: str, due: Sequence[str] = ()) -> GateCell:
    verdict = next((one for one in filed.record.verdicts if one.scenario == gate), None)
    if verdict is None and due and gate not in due:
        return GateCell(gate, "absent", "not for this release or mode")
    if verdict is None:
        return GateCell(gate, "unknown", "not run")
    return GateCell(gate, *_judged(verdict), link=f"{filed.page}#{anchor(gate)}")


def _judged(verdict: Verdict) -> tuple[State, str]:
    return ("green", f"green in {verdict.seconds:.1f} s") if verdict.passed else ("red", phrases.explained(verdict))


def knocked_out(filed: Filed[Evidence]) -> list[tuple[str, list[GateCell]]]:
    """Patch by gate; first the whole series, from which nothing is left out."""
    evidence = filed.record
    gates = phrases.gates_of(evidence)
    rows = [("nothing", [_cell(filed, gate) for gate in gates])]
    for knocked in evidence.knockouts:
        cells = []
        for gate in gates:
            brief = knocked.verdicts.get(gate)
            state: State = "unknown" if brief is None else "green" if brief.passed else "red"
            why = "not run" if brief is None else brief.reason or state
            cells.append(GateCell(gate, state, why, f"{filed.page}#{anchor(knocked.patch)}", gate in knocked.named))
        rows.append((knocked.patch, cells))
    return rows


def killers(mutants: Sequence[MutantRun]) -> tuple[list[str], list[tuple[str, list[list[MutantRun]]]]]:
    """Gates, and for each family the mutants that each gate killed."""
    gates = list(dict.fromkeys(gate for one in mutants for gate in one.gates))
    families = dict.fromkeys(one.family for one in mutants)
    return gates, [
        (family, [[one for one in mutants if one.family == family and one.by == gate] for gate in gates])
        for family in families
    ]


def anchor(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-") or "unnamed"
