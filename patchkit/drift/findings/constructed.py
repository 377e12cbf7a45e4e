"""The constructor of a class takes other parameters, or a dataclass has other fields."""

from collections.abc import Iterator
from dataclasses import replace

from patchkit.drift.findings import parameters
from patchkit.drift.findings.finding import Case, Finding


def find(case: Case) -> Iterator[Finding]:
    if case.touched("constructs") and not case.touched("wraps", "replaces", "calls"):
        yield from parameters.find(replace(case, manners={*case.manners, "calls"}))
