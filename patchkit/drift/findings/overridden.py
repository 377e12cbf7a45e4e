"""A class that derives from the hooked one has a method of its own now: a hook on the parent misses it."""

from collections.abc import Iterator

from patchkit.drift.findings.finding import Case, Finding


def find(case: Case) -> Iterator[Finding]:
    if case.both and case.hooked:
        for name in case.new.overriders:
            if name not in case.old.overriders:
                yield case.finding("overridden", "silent", f"{name} has a method of its own in its place")
