"""Nothing calls the hooked method any more."""

from collections.abc import Iterator

from patchkit.drift.findings.finding import Case, Finding


def find(case: Case) -> Iterator[Finding]:
    if case.both and case.hooked and case.old.callers and not case.new.callers:
        was = case.old.callers[0].place
        guess = "calls on objects whose type no annotation tells are not seen"
        yield case.finding("uncalled", "silent", f"nothing calls it any more (was called at {was})", guess)
