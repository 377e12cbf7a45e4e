"""``patchkit bench``."""

from __future__ import annotations

from contextlib import nullcontext

from patchkit.bench.admission import admit
from patchkit.console import err, out
from patchkit.gates.asked import Asked
from patchkit.gates.rig import Rig
from patchkit.gates.summary import closing_line, verdict_line


def bench(asked: Asked) -> int:
    """Run the benchmarks one by one; refuses while a gate is red or unknown."""
    settings = asked.settings()
    benchmarks = asked.choose(settings, "benchmark")
    with Rig(settings) as rig:
        admit(rig)
        rig.prepare(benchmarks)
        record = asked.begin(rig, "bench")
        width = max(len(benchmark.name) for benchmark in benchmarks)
        for benchmark in benchmarks:
            with err.status(benchmark.name) if err.is_terminal else nullcontext():
                record.verdicts.append(rig.run(benchmark))
            if not asked.as_json:
                out.print(verdict_line(record.verdicts[-1], width))
    asked.leave(record, rig, "bench", lambda where: out.print(closing_line(record, len(benchmarks), where)))
    return 0 if record.passed else 1
