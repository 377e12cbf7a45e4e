"""``patchkit mutants``."""

from __future__ import annotations

import time
from collections.abc import Sequence

from msgspec import structs
from rich.text import Text

from patchkit.console import ProgressLine, err
from patchkit.errors import PatchkitError
from patchkit.gates.mutants import MutantTrials
from patchkit.gates.mutants_evidence import MutantsEvidence, score
from patchkit.gates.runner import Runner
from patchkit.gates.scenario import Scenario
from patchkit.gates.workspace import Workspace
from patchkit.report.mutants.run_output import found_line, progress_line, show_able, show_run
from patchkit.report.phrases import headline
from patchkit.series.mutant import Mutant
from patchkit.series.mutant_trees import mutated_trees
from patchkit.series.mutants import MutantSelection, check_gates, load_mutants, meant_for
from patchkit.verbs.scenario_options import Request


def mutants(request: Request, chosen: MutantSelection, check: bool) -> int:
    """Run the mutants; 0 only if each is killed as its header says. With ``check``, only see that they can be run.

    Raises:
        PatchkitError: a mutant is malformed, or the selection cannot be run; raised before anything costly.
    """
    gates = request.choose()
    with Workspace(request.settings.with_blocking_launches()) as workspace:
        runnable, waiting = runnable_mutants(workspace, gates)
        refuse_named(waiting, chosen)
        wanted, began = chosen.of(runnable), time.monotonic()
        with mutated_trees(workspace.tree, wanted) as trees:
            if check:
                show_able(wanted, time.monotonic() - began, request.as_json)
                return 0
            workspace.prepare(gates)
            record = MutantsEvidence(
                **structs.asdict(workspace.circumstances()),
                score=score([], len(runnable)),
                chosen=str(chosen),
                needs_cuda=[mutant.name for mutant in waiting],
            )
            err.print(Text(headline(record)))
            trials, began = MutantTrials(Runner(workspace), gates, wanted, trees), time.monotonic()
            with ProgressLine(lambda: progress_line(trials, len(wanted), time.monotonic() - began)) as progress:
                for found in trials.run():
                    progress.note(found_line(found))
        record.control, record.mutants = list(trials.control.values()), trials.records()
        record.score = score(record.mutants, len(runnable))
    # Evidence of a selection must not replace that of all mutants.
    name = "mutants" if chosen.all_of_them else "some-mutants"
    request.save(record, workspace, name, lambda where: show_run(record, where))
    return 0 if record.passed else 1


def runnable_mutants(workspace: Workspace, gates: Sequence[Scenario]) -> tuple[list[Mutant], list[Mutant]]:
    """Every mutant of the runtime for this release that can be run on this device, and those that need CUDA."""
    settings = workspace.settings
    every = load_mutants(settings.project.patches / settings.runtime / "mutants")
    meant = meant_for(every, workspace.tree, settings.runner)
    waiting = [mutant for mutant in meant if mutant.needs_cuda and settings.device != "cuda"]
    runnable = [mutant for mutant in meant if mutant not in waiting]
    check_gates(runnable, [gate.name for gate in gates])
    return runnable, waiting


def refuse_named(waiting: Sequence[Mutant], chosen: MutantSelection) -> None:
    """Refuse a mutant that was asked for by name and needs CUDA."""
    for mutant in waiting:
        if chosen.names(mutant):
            raise PatchkitError(f"mutant {mutant.name} needs CUDA", "run it with --device cuda")
