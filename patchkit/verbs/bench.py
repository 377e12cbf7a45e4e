"""``patchkit bench``."""

from __future__ import annotations

from patchkit.console import out
from patchkit.gates.measurement_allowed import admit
from patchkit.gates.workspace import Workspace
from patchkit.report.progress_lines import closing_line
from patchkit.verbs.scenario_options import Request


def bench(request: Request) -> int:
    """Run the benchmarks one by one; refuses while a gate is red or unknown."""
    benchmarks = request.choose("benchmark")
    with Workspace(request.settings) as workspace:
        admit(workspace)
        workspace.prepare(benchmarks)
        record = request.begin(workspace, "bench")
        record.verdicts = list(request.verdicts(workspace, benchmarks))
    request.save(record, workspace, "bench", lambda where: out.print(closing_line(record, len(benchmarks), where)))
    return 0 if record.passed else 1
