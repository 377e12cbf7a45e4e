"""What ``patchkit mutants`` shows at its end."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.text import Text

from patchkit.console import out
from patchkit.gates.mutants_evidence import MutantsEvidence
from patchkit.plural import counted
from patchkit.report.mutants.text import show_found, show_score
from patchkit.series.mutant import Mutant


def show_run(record: MutantsEvidence, where: str) -> None:
    """What did not end as it must, the families, the score, and where the evidence is."""
    show_found(record)
    show_score(record)
    out.print(Text.assemble(f"in {record.seconds:.0f} s  ", (where, "dim")))


def show_able(wanted: Sequence[Mutant], seconds: float, as_json: bool) -> None:
    """The mutants that could be run, and the seconds that their trees took."""
    if as_json:
        rows = [
            {"mutant": one.name, "family": one.family, "what": one.subject, "expected": one.expected}
            | {"equivalent": one.equivalent}
            for one in wanted
        ]
        print(json.dumps({"mutants": rows}, indent=2, ensure_ascii=False))
        return
    for one in wanted:
        expected = one.expected or f"equivalent: {one.equivalent}"
        out.print(Text.assemble((one.name, "bold"), f" ({one.family}): {one.subject}\n    ", (expected, "dim")))
    out.print(f"{counted(len(wanted), 'mutant')} can be run; their trees took {seconds:.1f} s")
