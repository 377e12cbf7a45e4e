"""An attribute that is read holds another kind of value: a member of an enum where a string was, or the other way."""

from collections.abc import Iterator
from dataclasses import replace

from patchkit.drift.findings.finding import Case, Finding, UsageCondition
from patchkit.drift.value_kind import MEMBER


def find(case: Case) -> Iterator[Finding]:
    """A break between a plain value and a member, unless the runtime takes both: neither equals the other."""
    old, new = case.old.holds, case.new.holds
    if not case.both or not case.touched("reads") or old == new or not old or not new:
        return
    said = f"holds {new}, held {old}"
    if old.startswith(MEMBER) == new.startswith(MEMBER):
        yield case.finding("value-changed", "look", said)
        return
    hinge = UsageCondition("plain", case.symbol.rpartition(".")[2])
    yield replace(case.finding("value-changed", "loud", said, hinge.question), hinge=hinge)
