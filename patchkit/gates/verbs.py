"""``patchkit gate`` and ``patchkit knockout``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from patchkit.console import out
from patchkit.gates.asked import Asked
from patchkit.gates.evidence import Evidence
from patchkit.gates.rig import Rig
from patchkit.gates.summary import closing_line, knockout_line, matrix
from patchkit.report.retirement import sentence, show_needs

if TYPE_CHECKING:
    from patchkit.gates.knockout import Campaign


def gate(asked: Asked) -> int:
    """Run the gates as pytest items; 0 only if every one of them ran and passed."""
    from patchkit.gates.items_run import run_items

    settings = asked.settings()
    gates = asked.choose(settings, "gate")
    with Rig(settings) as rig:
        rig.prepare(gates)
        record = asked.begin(rig, "gate")
        record.verdicts = run_items(rig, gates, quiet=asked.as_json)
    # Some of the gates must not stand where `bench` looks for all of them; all of them stand there in any case.
    name = "some-gates" if asked.only else "gate"
    asked.leave(
        record, rig, name, lambda where: out.print(closing_line(record, len(gates), where)), keep=not asked.only
    )
    return 0 if record.passed and len(record.verdicts) == len(gates) else 1


def knockout(asked: Asked, patches: tuple[str, ...]) -> int:
    """Leave each patch out in turn; 0 only if each is caught, for the reason in its header."""
    from patchkit.gates.applies_to import check_applies_to
    from patchkit.gates.knockout import Campaign

    # Without it a device-side assert surfaces steps after the gather that caused it.
    settings = asked.settings((("CUDA_LAUNCH_BLOCKING", "1"),) if asked.device == "cuda" else ())
    gates = asked.choose(settings, "gate")
    with Rig(settings) as rig:
        campaign = Campaign(rig, gates, patches, asked.unasked(settings, gates))
        rig.prepare(gates)
        record = asked.begin(rig, "knockout")
        campaign.run()
        record.verdicts, record.knockouts = campaign.control(), campaign.knockouts()
        record.not_taken = {patch.name: why for patch, why in rig.tree.left}
        check_applies_to(record, settings.project, rig.tree.runtime.developed_on)
    asked.leave(record, rig, "knockout", lambda where: show(record, campaign, where))
    return 0 if record.passed else 1


def show(record: Evidence, campaign: Campaign, where: str) -> None:
    """Every patch, the matrix, and the sum."""
    for knocked in record.knockouts:
        out.print(knockout_line(knocked))
    out.print()
    out.print(matrix(campaign.rows(), [gate.name for gate in campaign.gates], campaign.caught_by()))
    show_needs(record, out)
    out.print()
    red = [verdict.scenario for verdict in record.verdicts if not verdict.passed]
    if red:
        out.print(f"[bold red]the whole series is red already:[/bold red] {', '.join(red)}")
    caught = sum(knocked.caught for knocked in record.knockouts)
    colour = "green" if record.passed else "red"
    total = f"[bold {colour}]{caught} of {len(record.knockouts)} patches caught[/bold {colour}]"
    needs = "".join(f"; {said}" for said in sentence(record))
    out.print(f"{total}{needs} in {record.seconds:.0f} s  [dim]{escape(where)}[/dim]")
