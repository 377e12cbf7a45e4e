"""Every check of the runtime's own holds."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from patchkit.gates.invariants.base import Broken, Figures, Params, count_clause, invariant
from patchkit.gates.part_run import Run
from patchkit.plural import counted


class Checks(Params, frozen=True):
    """``at_least``: how many must have been made; one that was skipped does not count."""

    least: int = msgspec.field(default=1, name="at_least")

    def __post_init__(self) -> None:
        if self.least < 1:
            raise ValueError(f"at_least must be at least 1, not {self.least}")


@invariant(
    params=Checks,
    clauses=(count_clause(72, "checks", "{} checks hold"), count_clause(73, "skipped_checks", "{} skipped")),
)
def checks_hold(run: Run, params: Checks, figures: Figures) -> Iterator[Broken]:
    """Each failed check by its name and reason, and too few of them."""
    checks = run.result.checks if run.result else []
    held, skipped = [one for one in checks if one.held], [one for one in checks if one.held is None]
    figures["checks"], figures["skipped_checks"] = len(held), len(skipped)
    for one in skipped:
        figures[f"skipped {one.name}"] = one.reason
    for one in checks:
        if one.held is False:
            yield Broken(f"the check {one.name} failed: {one.reason or 'it did not say why'}")
    failed = len(checks) - len(held) - len(skipped)
    if len(held) + failed < params.least:
        besides = f", {', '.join(one.name for one in skipped)} skipped" if skipped else ""
        yield Broken(f"{counted(len(held) + failed, 'check')} of {params.least} made{besides}")
