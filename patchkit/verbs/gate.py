"""``patchkit gate``."""

from __future__ import annotations

from patchkit.console import out
from patchkit.gates.workspace import Workspace
from patchkit.report.progress_lines import closing_line
from patchkit.verbs.scenario_options import Request


def gate(request: Request) -> int:
    """Run the gates; 0 only if every one of them ran and passed."""
    gates = request.choose()
    with Workspace(request.settings) as workspace:
        workspace.prepare(gates)
        record = request.begin(workspace, "gate")
        record.verdicts = list(request.verdicts(workspace, gates))
    # Some of the gates must not stand where `bench` looks for all of them; all of them stand there in any case.
    name = "some-gates" if request.only else "gate"
    request.save(
        record, workspace, name, lambda where: out.print(closing_line(record, len(gates), where)), keep=not request.only
    )
    return 0 if record.passed and len(record.verdicts) == len(gates) else 1
