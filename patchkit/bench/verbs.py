"""``patchkit bench``."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path

from patchkit.bench.admission import admit
from patchkit.console import err, out
from patchkit.files import check_place
from patchkit.gates.evidence import to_json
from patchkit.gates.rig import Rig, Settings
from patchkit.gates.scenario import load_scenarios, select
from patchkit.gates.summary import closing_line, headline, verdict_line
from patchkit.gates.verbs import leave
from patchkit.project import find_project


def bench(
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
    """Run the benchmarks one by one; refuses while a gate is red or unknown."""
    settings = Settings(find_project(), runtime, release, device, python, model, workers=workers)
    benchmarks = select(load_scenarios(settings.project.scenarios), "benchmark", only)
    check_place(evidence or settings.project.state)
    with Rig(settings) as rig:
        admit(rig)
        began = time.monotonic()
        rig.prepare(benchmarks)
        record = rig.evidence("bench")
        err.print(headline(record))
        width = max(len(benchmark.name) for benchmark in benchmarks)
        for benchmark in benchmarks:
            with err.status(benchmark.name) if err.is_terminal else nullcontext():
                record.verdicts.append(rig.run(benchmark))
            if not as_json:
                out.print(verdict_line(record.verdicts[-1], width))
    record.seconds = round(time.monotonic() - began, 1)
    where = leave(record, evidence, settings, "bench")
    if as_json:
        print(to_json(record), end="")
    else:
        out.print(closing_line(record, len(benchmarks), where))
    return 0 if record.passed else 1
