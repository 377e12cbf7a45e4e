"""Something stands in its place now: a subclass's own method, an assignment. A hook on the class misses it."""

from collections.abc import Iterator

from patchkit.drift.findings.finding import Case, Finding


def find(case: Case) -> Iterator[Finding]:
    if case.both and case.hooked:
        for name in case.new.overriders:
            if name not in case.old.overriders:
                yield case.finding("overridden", "silent", name)
