"""A base class asks more of what derives from it."""

from collections.abc import Iterator

from patchkit.drift.findings.finding import Case, Finding


def find(case: Case) -> Iterator[Finding]:
    if case.both and case.touched("derives"):
        for name in sorted(case.new.abstract - case.old.abstract):
            yield case.finding("abstract-added", "loud", f"what derives from it must define `{name}` now")
