"""Which patch mends a finding: by its header, and where the code can tell, by the code that it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from packaging.version import Version

from patchkit.drift.contract import Contract
from patchkit.drift.findings import Finding
from patchkit.drift.touches import Call, Touch
from patchkit.errors import PatchkitError
from patchkit.series.patch import Patch
from patchkit.series.series import Series

UPSTREAM, GATES = "upstream", "gates"
"""Stand where a patch's name would: the pin's own code copes as it is; every gate is green without a patch for it."""
TOLD_BY_CODE = ("parameter-added", "parameter-removed", "parameter-renamed", "parameter-keyword-only")
TOLD_BY_HEADER = ("returns-changed", "side-effect-added", "side-effect-gone", "kind-changed")
UNSEEN_BY_GATES = ("selection-changed", "setting-changed")
"""Kinds that may show on another device or model than the gates ran with."""

Touches = Callable[[str], Sequence[Touch]]
"""The touches of the patched runtime on a symbol; read when first asked for."""


@dataclass(frozen=True)
class Step:
    """From one release to another, for one symbol; ``proven``: every gate is green on the new one."""

    before: Version
    after: Version
    proven: bool
    old: Contract
    new: Contract


def mended(finding: Finding, series: Series, step: Step, touches: Touches) -> Finding:
    """``finding`` with what mends it in the new release of ``step``.

    A header is taken at its word only for the step in which its patch begins: for a later move of the same symbol it
    was not written.

    Args:
        touches: what the runtime, patched for that release, does with a symbol.
    """
    if not finding.breaks or finding.mended_by:
        return finding
    named = [one for one in series.patches if _names(one, finding.symbol) and one.needed_on(step.after)]
    if finding.kind in TOLD_BY_CODE:
        found = _by_code(finding, named, step, touches)
    elif finding.kind in TOLD_BY_HEADER:
        found = _by_header(finding, [one for one in named if one.kind == finding.severity], step)
    else:
        found = finding
    if found.unpatched and step.proven and finding.kind not in UNSEEN_BY_GATES:
        return replace(found, mended_by=(GATES,), because="every gate is green on it, without a patch for this")
    return found


def _by_code(finding: Finding, named: Sequence[Patch], step: Step, touches: Touches) -> Finding:
    try:
        theirs = touches(finding.symbol)
    except PatchkitError as error:  # the series does not go on
        return replace(finding, because=f"the series does not go on: {error.what}")
    complaints = [said for touch in theirs for said in misfits(touch, step.old, step.new)]
    if complaints:
        return replace(finding, because="; ".join(dict.fromkeys(complaints)))
    names = tuple(patch.name for patch in named if patch.kind == finding.severity) or (UPSTREAM,)
    because = "its code takes what vLLM gives, and gives what it takes" if theirs else "its code no longer touches this"
    return replace(finding, mended_by=names, because=because)


def _by_header(finding: Finding, named: Sequence[Patch], step: Step) -> Finding:
    begins = tuple(patch.name for patch in named if not patch.needed_on(step.before))
    if begins:
        because = "it begins here, and its header names the symbol; only the gates prove it"
        return replace(finding, mended_by=begins, because=because)
    stands = tuple(patch.name for patch in named)
    because = "it was written for an earlier move of the same symbol; only the gates tell" if stands else ""
    return replace(finding, perhaps_by=stands, because=because)


def _names(patch: Patch, symbol: str) -> bool:
    """Whether a patch's header names a symbol, or one of the methods that a ``forward`` may be."""
    named = [one.strip() for one in patch.symbol.split(",")]
    return any(one == symbol or one.startswith(f"{symbol}_") for one in named)


def misfits(touch: Touch, old: Contract, contract: Contract) -> Iterator[str]:
    """Why a call, or a replacement, no longer fits what the symbol takes."""
    if touch.call is None or not contract.there:
        return
    for at, (before, after) in enumerate(zip(old.parameters, contract.parameters, strict=False)):
        if at < touch.call.positional and "positional" == before.kind == after.kind and before.name != after.name:
            yield f"{touch.place} has `{before.name}` where `{after.name}` stands now"
    if touch.manner == "calls":
        yield from _call_misfits(touch, touch.call, contract)
    elif touch.manner in ("wraps", "replaces"):
        for site in contract.callers:
            taken = touch.call.rest or site.positional <= touch.call.positional
            named = touch.call.named or {*site.keywords} <= {*touch.call.keywords}
            if not site.open_ended and not (taken and named):
                yield f"{touch.place} does not take what {site.place} gives"
        needed = [one for one in contract.parameters if one.needed]
        if not touch.call.rest and len(needed) > touch.call.positional:
            yield f"{touch.place} does not take `{needed[touch.call.positional].name}`"


def _call_misfits(touch: Touch, call: Call, contract: Contract) -> Iterator[str]:
    positional = [one for one in contract.parameters if one.kind == "positional"]
    names = {one.name for one in contract.parameters}
    takes_rest, takes_named = (any(one.kind == kind for one in contract.parameters) for kind in ("rest", "named"))
    if call.positional > len(positional) and not takes_rest:
        yield f"{touch.place} gives {call.positional} by position, it takes {len(positional)}"
    for name in call.keywords:
        if name not in names and not takes_named:
            yield f"{touch.place} gives `{name}`, which it does not take"
    if call.rest or call.named:
        return
    given = {one.name for one in positional[: call.positional]} | {*call.keywords}
    for one in contract.parameters:
        if one.needed and one.name not in given:
            yield f"{touch.place} does not give `{one.name}`"
