"""Only what is written about the type moved."""

from collections.abc import Iterator

from patchkit.drift.findings import returns_changed
from patchkit.drift.findings.finding import Case, Finding


def find(case: Case) -> Iterator[Finding]:
    old, new = case.old.annotation, case.new.annotation
    if not case.both or not old or not new or old == new or any(returns_changed.find(case)):
        return
    if case.hooked or case.touched("unpacks", "reads"):
        yield case.finding("annotation-changed", "look", f"is said to be {new}, was {old}")
