"""A base class gains a method that the runtime's own class already has: from then on vLLM may call the runtime's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from patchkit.drift.contract import Contract
from patchkit.drift.findings import Finding
from patchkit.drift.findings.finding import Severity
from patchkit.drift.fixes import PatchedCode, misfits
from patchkit.drift.reading import Reading
from patchkit.drift.touch import Touch
from patchkit.errors import PatchkitError

KIND = "method-gained"


def gained_methods(new: Reading, code: PatchedCode) -> Iterator[Finding]:
    """One finding for each such method; one that hands on to the base class's own was written for it, and is none."""
    for symbol, contract in new.gained.items():
        try:
            touches = code.on(symbol)
        except PatchkitError as error:
            said = f"whether the runtime has a method of that name was not read: {error.what}"
            yield Finding(KIND, "look", symbol, "is new in a base class", new=contract.place, guessed=said)
            continue
        manners = {touch.manner for touch in touches}
        if "replaces" in manners and "wraps" not in manners:
            yield _found(symbol, contract, [touch for touch in touches if touch.manner == "replaces"])


def _found(symbol: str, contract: Contract, touches: Sequence[Touch]) -> Finding:
    """Loud where it cannot take what vLLM gives, silent where vLLM calls it; else to be looked at."""
    said = f"is new in a base class, and {touches[0].place} already has a method of that name"
    if contract.callers:
        lacking = [complaint for touch in touches if touch.call for complaint in misfits(touch, contract, contract)]
        severity: Severity = "loud" if lacking else "silent"
        said = "; ".join([f"{said}, which vLLM calls at {contract.callers[0].place} now", *dict.fromkeys(lacking)])
        return Finding(KIND, severity, symbol, said, new=contract.place)
    return Finding(KIND, "look", symbol, said, new=contract.place, guessed="no call of it by vLLM was seen")
