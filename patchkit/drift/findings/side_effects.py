"""Something that a call must leave alone is set inside it."""

from collections.abc import Iterator
from dataclasses import replace

from patchkit.drift.findings.finding import Case, Finding


def find(case: Case) -> Iterator[Finding]:
    if not case.both:
        return
    guess = "known by the names that the method has for its objects"
    for kept in case.keeps:
        old, new = case.old.effects.get(kept, ""), case.new.effects.get(kept, "")
        if new and not old:
            yield replace(case.finding("side-effect-added", "silent", f"sets {kept} inside", guess), new=new)
        elif old and not new:
            yield replace(case.finding("side-effect-gone", "silent", f"no longer sets {kept} inside", guess), old=old)
