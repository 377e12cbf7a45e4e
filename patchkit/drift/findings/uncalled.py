"""Nothing calls the hooked method any more, or not from everywhere it did."""

from collections.abc import Iterator

from patchkit.drift.contract import Contract
from patchkit.drift.findings.finding import Case, Finding, Severity

GUESS = "calls on objects whose type no annotation shows are not seen"


def find(case: Case) -> Iterator[Finding]:
    if not case.both or not case.hooked:
        return
    before, after = _callers(case.old), _callers(case.new)
    if before and not after:
        was = case.old.callers[0].place
        yield case.finding("uncalled", "silent", f"nothing calls it any more (was called at {was})", GUESS)
    elif before - after:
        lost, gained = ", ".join(sorted(before - after)), ", ".join(sorted(after - before))
        severity: Severity = "look" if gained else "silent"
        yield case.finding(
            "uncalled", severity, f"{lost} no longer calls it{f', {gained} does' if gained else ''}", GUESS
        )


def _callers(contract: Contract) -> set[str]:
    """The functions that call it; a dummy batch is no step."""
    return {site.caller for site in contract.callers if "dummy" not in site.caller}
