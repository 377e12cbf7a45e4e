"""The symbol is nowhere any more."""

from collections.abc import Iterator

from patchkit.drift.findings.finding import Case, Finding


def find(case: Case) -> Iterator[Finding]:
    if not case.old.there or case.new.there or case.new.elsewhere:
        return
    if case.old.kind in ("attribute", "property"):
        yield case.finding("field-gone", "loud", f"the {case.old.kind} is gone")
    elif case.touched("settings") and not case.touched("reads"):
        yield case.finding(
            "setting-changed", "silent", f"the setting is gone; its default was {case.old.value or 'none'}"
        )
    else:
        yield case.finding("gone", "loud", f"the {case.old.kind} is gone")
