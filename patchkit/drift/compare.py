"""Two releases to findings, the worst first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from patchkit.drift.contract import Contract
from patchkit.drift.findings import Case, Finding, findings_of, selection_changed
from patchkit.drift.reading import Reading
from patchkit.series.manifest import Surface

WORST_FIRST = ("silent", "loud", "look", "harmless")


def compare(surface: Surface, old: Reading, new: Reading) -> list[Finding]:
    """Everything that changed in a surface from one release to the other, the worst first, then by symbol."""
    found = [finding for case in _cases(surface, old, new) for finding in findings_of(case)]
    found += selection_changed.find(old, new)
    return worst_first(found)


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda one: (WORST_FIRST.index(one.severity), one.symbol, one.kind))


def _cases(surface: Surface, old: Reading, new: Reading) -> Iterator[Case]:
    for symbol, manners in surface.manners().items():
        kept, accepted = surface.keeps.get(symbol, ()), surface.settings.get(symbol, ())
        yield Case(symbol, manners, _of(old, symbol), _of(new, symbol), kept, accepted)
    for symbol, others in surface.behind.items():
        manners = surface.manners().get(symbol, set())
        for other in others:  # what is done to the one in front is done with these: called, its values taken
            yield Case(other, {"calls", *manners} & {"calls", "unpacks"}, _of(old, other), _of(new, other))


def _of(reading: Reading, symbol: str) -> Contract:
    return reading.contracts.get(symbol, Contract(symbol))
