"""What ``patchkit mutants`` shows at its end."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.text import Text

from patchkit.console import out
from patchkit.gates.mutants import MutantTrial, MutantTrials, TrialResult
from patchkit.gates.mutants_evidence import ACCEPTED_OUTCOMES, GateRun, MutantsEvidence
from patchkit.plural import counted, shortened
from patchkit.report.mutants.terminal import show_found, show_score
from patchkit.series.mutant import Mutant


def found_line(found: GateRun | MutantTrial) -> str:
    """A gate on the series as it is, or the end of a mutant, as it is known."""
    if isinstance(found, GateRun):
        return f"series on {found.gate}: {'✓' if found.passed else f'✗ {shortened(found.reason)}'}"
    end = found.result or TrialResult("unknown")
    at = f" at {end.by}: {shortened(end.reason)}" if end.by else ""
    return f"{'✓' if end.outcome in ACCEPTED_OUTCOMES else '✗'} {found.mutant.name}: {end.outcome}{at}"


def progress_line(trials: MutantTrials, wanted: int, seconds: float) -> str:
    """How far a run is, with how many mutants that did not end as they must."""
    if not trials.results:
        return f"{counted(len(trials.control), 'gate')} on the series without a mutant, {seconds:.0f} s"
    bad = sum(end.outcome not in ACCEPTED_OUTCOMES for end in trials.results)
    return f"{len(trials.results)} of {counted(wanted, 'mutant')}, {bad} not as they must end, {seconds:.0f} s"


def show_run(record: MutantsEvidence, where: str) -> None:
    """What did not end as it must, the families, the score, and where the evidence is."""
    show_found(record)
    show_score(record)
    out.print(Text.assemble(f"in {record.seconds:.0f} s  ", (where, "dim")))


def show_able(wanted: Sequence[Mutant], seconds: float, as_json: bool) -> None:
    """The mutants that could be run, and the seconds that their trees took."""
    if as_json:
        rows = [
            {"mutant": one.name, "family": one.family, "what": one.subject, "expected": one.expected}
            | {"equivalent": one.equivalent}
            for one in wanted
        ]
        print(json.dumps({"mutants": rows}, indent=2, ensure_ascii=False))
        return
    for one in wanted:
        expected = one.expected or f"equivalent: {one.equivalent}"
        out.print(Text.assemble((one.name, "bold"), f" ({one.family}): {one.subject}\n    ", (expected, "dim")))
    out.print(f"{counted(len(wanted), 'mutant')} can be run; their trees took {seconds:.1f} s")
