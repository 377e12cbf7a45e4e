"""``patchkit knockout``."""

from __future__ import annotations

import time

from patchkit.console import ProgressLine
from patchkit.gates.applies_to import check_applies_to
from patchkit.gates.knockout import KnockoutRun
from patchkit.gates.runner import Runner
from patchkit.gates.workspace import Workspace
from patchkit.report.knockouts import cell_line, show_run
from patchkit.verbs.scenario_options import Request


def knockout(request: Request, patches: tuple[str, ...]) -> int:
    """Leave each patch out in turn; 0 only if each is caught, for the reason in its header."""
    gates = request.choose()
    with Workspace(request.settings.with_blocking_launches()) as workspace:
        campaign = KnockoutRun(Runner(workspace), gates, patches, request.not_selected(gates))
        workspace.prepare(gates)
        record = request.begin(workspace, "knockout")
        began = time.monotonic()
        with ProgressLine(
            lambda: f"{len(campaign.verdicts)} of {campaign.cells} runs, {time.monotonic() - began:.0f} s"
        ) as progress:
            for left_out, verdict in campaign.run():
                progress.note(cell_line(left_out, verdict))
        record.verdicts, record.knockouts = campaign.control(), campaign.knockouts()
        record.not_taken = {patch.name: why for patch, why in workspace.tree.left} | campaign.other_runners
        check_applies_to(record, request.settings.project, workspace.tree.runtime.developed_on)
    request.save(record, workspace, "knockout", lambda where: show_run(record, where))
    return 0 if record.passed else 1
