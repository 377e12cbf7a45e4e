"""``patchkit gate`` and ``patchkit knockout``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from patchkit.console import err, out
from patchkit.files import check_place
from patchkit.gates.evidence import Evidence, default_path, to_json, write_evidence
from patchkit.gates.rig import Rig, Settings
from patchkit.gates.scenario import load_scenarios, select
from patchkit.gates.summary import closing_line, headline, knockout_line, matrix
from patchkit.project import find_project

if TYPE_CHECKING:
    from patchkit.gates.knockout import Campaign


def gate(
    *,
    release: str,
    runtime: str,
    device: str,
    python: Path | None,
    model: str | None,
    only: tuple[str, ...],
    workers: int | None,
    evidence: Path | None,
    as_json: bool,
) -> int:
    """Run the gates as pytest items; 0 only if every one of them ran and passed."""
    from patchkit.gates.items_run import run_items

    settings = Settings(find_project(), runtime, release, device, python, model, workers=workers)
    gates = select(load_scenarios(settings.project.scenarios), "gate", only)
    check_place(evidence or settings.project.state)
    with Rig(settings) as rig:
        began = time.monotonic()
        rig.prepare(gates)
        record = rig.evidence("gate")
        err.print(headline(record))
        record.verdicts = run_items(rig, gates, quiet=as_json)
    record.seconds = round(time.monotonic() - began, 1)
    # Some of the gates must not stand where `bench` looks for all of them.
    where = leave(record, evidence, settings, "some-gates" if only else "gate")
    passed = record.passed and len(record.verdicts) == len(gates)
    if as_json:
        print(to_json(record), end="")
    else:
        out.print(closing_line(record, len(gates), where))
    return 0 if passed else 1


def knockout(
    *,
    release: str,
    runtime: str,
    device: str,
    python: Path | None,
    model: str | None,
    only: tuple[str, ...],
    workers: int | None,
    evidence: Path | None,
    as_json: bool,
    patches: tuple[str, ...],
) -> int:
    """Leave each patch out in turn; 0 only if each is caught, for the reason in its header."""
    from patchkit.gates.knockout import Campaign

    # Without it a device-side assert surfaces steps after the gather that caused it.
    blocking = (("CUDA_LAUNCH_BLOCKING", "1"),) if device == "cuda" else ()
    settings = Settings(find_project(), runtime, release, device, python, model, workers=workers, variables=blocking)
    gates = select(load_scenarios(settings.project.scenarios), "gate", only)
    check_place(evidence or settings.project.state)
    with Rig(settings) as rig:
        began = time.monotonic()
        campaign = Campaign(rig, gates, patches)
        rig.prepare(gates)
        record = rig.evidence("knockout")
        err.print(headline(record))
        campaign.run()
        record.verdicts, record.knockouts = campaign.control(), campaign.knockouts()
    record.seconds = round(time.monotonic() - began, 1)
    where = leave(record, evidence, settings, "knockout")
    if as_json:
        print(to_json(record), end="")
    else:
        show(record, campaign, where)
    return 0 if record.passed else 1


def show(record: Evidence, campaign: Campaign, where: str) -> None:
    """Every patch, the matrix, and the sum."""
    for knocked in record.knockouts:
        out.print(knockout_line(knocked))
    out.print()
    out.print(matrix(campaign.rows(), [gate.name for gate in campaign.gates], campaign.caught_by()))
    out.print()
    red = [verdict.scenario for verdict in record.verdicts if not verdict.passed]
    if red:
        out.print(f"[bold red]the whole series is red already:[/bold red] {', '.join(red)}")
    caught = sum(knocked.caught for knocked in record.knockouts)
    colour = "green" if record.passed else "red"
    total = f"[bold {colour}]{caught} of {len(record.knockouts)} patches caught[/bold {colour}]"
    out.print(f"{total} in {record.seconds:.0f} s  [dim]{escape(where)}[/dim]")


def leave(record: Evidence, chosen: Path | None, settings: Settings, name: str) -> str:
    """Write the evidence where the user chose, or under ``name``; returns its path as short as it can be said."""
    path = chosen or default_path(settings.project.state, name, record.release, record.device)
    write_evidence(path, record)
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
