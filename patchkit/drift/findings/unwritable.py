"""An attribute that the runtime sets can no longer be set."""

from collections.abc import Iterator

from patchkit.drift.findings.finding import Case, Finding


def find(case: Case) -> Iterator[Finding]:
    if case.both and case.touched("writes") and case.new.read_only and not case.old.read_only:
        yield case.finding("read-only", "loud", f"can no longer be set: it is a {case.new.kind}")
