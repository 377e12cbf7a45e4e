"""The contract is the same, the inside is not."""

from collections.abc import Iterator

from patchkit.drift.findings.finding import Case, Finding

CODE = {"function", "method", "static method", "class method", "property"}


def find(case: Case) -> Iterator[Finding]:
    if case.both and case.old.body != case.new.body and case.new.kind in CODE:
        yield case.finding("body-changed", "look", f"its body changed ({case.old.body[:8]} → {case.new.body[:8]})")
