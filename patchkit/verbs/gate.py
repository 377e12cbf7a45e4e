"""``patchkit gate``."""

from __future__ import annotations

from patchkit.console import out
from patchkit.gates.rig import Rig
from patchkit.report.lines import closing_line
from patchkit.verbs.request import Request


def gate(request: Request) -> int:
    """Run the gates; 0 only if every one of them ran and passed."""
    gates = request.choose("gate")
    with Rig(request.settings) as rig:
        rig.prepare(gates)
        record = request.begin(rig, "gate")
        record.verdicts = list(request.verdicts(rig, gates))
    # Some of the gates must not stand where `bench` looks for all of them; all of them stand there in any case.
    name = "some-gates" if request.only else "gate"
    request.save(
        record, rig, name, lambda where: out.print(closing_line(record, len(gates), where)), keep=not request.only
    )
    return 0 if record.passed and len(record.verdicts) == len(gates) else 1
