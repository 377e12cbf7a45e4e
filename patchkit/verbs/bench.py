"""``patchkit bench``."""

from __future__ import annotations

from patchkit.console import out
from patchkit.gates.admission import admit
from patchkit.gates.rig import Rig
from patchkit.report.lines import closing_line
from patchkit.verbs.request import Request


def bench(request: Request) -> int:
    """Run the benchmarks one by one; refuses while a gate is red or unknown."""
    benchmarks = request.choose("benchmark")
    with Rig(request.settings) as rig:
        admit(rig)
        rig.prepare(benchmarks)
        record = request.begin(rig, "bench")
        record.verdicts = list(request.verdicts(rig, benchmarks))
    request.save(record, rig, "bench", lambda where: out.print(closing_line(record, len(benchmarks), where)))
    return 0 if record.passed else 1
