"""Which patch fixes a finding: by the patched code where that can decide it, else by the patch's header."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from packaging.version import Version

from patchkit.drift.contract import Contract
from patchkit.drift.findings import Finding
from patchkit.drift.parameter_usage import remaining_breaks
from patchkit.drift.touch import CallShape, Touch, Unread
from patchkit.errors import PatchkitError
from patchkit.series.patch import Patch
from patchkit.series.series import Series

UPSTREAM, GATES = "upstream", "gates"
"""In place of a patch's name: the pin's own code works unchanged; every gate is green without a patch for it."""
DECIDED_BY_CODE = (
    "parameter-added",
    "parameter-removed",
    "parameter-renamed",
    "parameter-keyword-only",
    "parameter-required",
    "argument-given",
    "value-changed",
    "abstract-added",
)
DECIDED_BY_HEADER = (
    "returns-changed",
    "side-effect-added",
    "side-effect-gone",
    "kind-changed",
    "read-only",
    "text-moved",
    "moved",
)
TOUCHING = ({"wraps", "replaces"}, {"calls"}, {"constructs"}, {"derives"})
"""Manners whose line in the code must be read before its fit can be judged; "wraps" and "replaces" are both hooks."""
SHOWN = 3
UNSEEN_BY_GATES = ("selection-changed", "setting-changed")
"""Kinds that may show on another device or model than the gates ran with."""


class PatchedCode(Protocol):
    """The runtime's code, patched for the new release; read when first asked."""

    def on(self, symbol: str) -> Sequence[Touch]:
        """Its touches on a symbol."""

    def dropped(self, symbol: str) -> str:
        """Where the code without patches touches a symbol; empty if it does not either."""

    @property
    def unread(self) -> Sequence[Unread]:
        """Its lines that could not be followed."""


@dataclass(frozen=True)
class SymbolChange:
    """How one symbol changed from one release to another.

    Attributes:
        proven: every gate is green on the new one.
        manners: how the symbol is declared to be touched.
    """

    before: Version
    after: Version
    proven: bool
    old: Contract
    new: Contract
    manners: frozenset[str] = frozenset()


def with_fix(finding: Finding, series: Series, step: SymbolChange, code: PatchedCode) -> Finding:
    """``finding`` with what fixes it in the new release of ``step``.

    Nothing fixes a break of a symbol whose touch was not read. A header counts only for the step in which its patch
    begins: it was not written for a later change of the same symbol.

    Args:
        code: what the runtime, patched for that release, does.
    """
    if not finding.breaks or finding.fixed_by:
        return finding
    named = [one for one in series.patches if _names(one, finding.symbol) and one.needed_on(step.after)]
    if finding.kind in DECIDED_BY_CODE:
        found = _by_code(finding, named, step, code)
    elif finding.kind in DECIDED_BY_HEADER:
        found = _by_header(finding, [one for one in named if one.kind == finding.severity], step)
        found = _if_read(found, finding, step, code) if found.fixed_by else found
    else:
        found = finding
    if found.unpatched and step.proven and finding.kind not in UNSEEN_BY_GATES:
        return replace(found, fixed_by=(GATES,), because="every gate is green on it, without a patch for this")
    return found


def _by_code(finding: Finding, named: Sequence[Patch], step: SymbolChange, code: PatchedCode) -> Finding:
    try:
        theirs = code.on(finding.symbol)
        lacking = _lacking(theirs, step)
        dropped = code.dropped(finding.symbol) if lacking and named and not code.unread else ""
    except PatchkitError as error:  # the series does not apply
        return replace(finding, because=f"the series does not apply: {error.what}")
    if lacking and not dropped:
        return replace(finding, because=_not_read(lacking, code.unread))
    complaints = [said for touch in theirs for said in misfits(touch, step.old, step.new)]
    complaints += _undefined(finding, step, code)
    complaints += remaining_breaks(finding, step.old, step.new, theirs)
    if complaints:
        return replace(finding, because="; ".join(dict.fromkeys(complaints)))
    if lacking:
        names = tuple(patch.name for patch in named)
        return replace(
            finding, fixed_by=names, because=f"the pin's touch at {dropped} is gone with it, and no other is left"
        )
    names = tuple(patch.name for patch in named if patch.kind == finding.severity) or (UPSTREAM,)
    return replace(finding, fixed_by=names, because="its code takes what vLLM gives, and gives what it takes")


def _if_read(found: Finding, finding: Finding, step: SymbolChange, code: PatchedCode) -> Finding:
    """A header counts only for a symbol whose touch was read, in the patched code or in the pin's."""
    try:
        if code.on(finding.symbol) or (not code.unread and code.dropped(finding.symbol)):
            return found
    except PatchkitError as error:
        return replace(finding, because=f"the series does not apply: {error.what}")
    return replace(finding, because=_not_read(sorted(step.manners), code.unread), perhaps_by=found.fixed_by)


def _lacking(theirs: Sequence[Touch], step: SymbolChange) -> list[str]:
    """The declared manners without a touch that was read; if none is declared, any touch will do."""
    seen = {touch.manner for touch in theirs} - {"imports"}
    declared = [group for group in TOUCHING if group & step.manners]
    if not declared:
        return [] if seen else ["touches"]
    return ["/".join(sorted(group & step.manners)) for group in declared if not group & seen]


def _not_read(manners: Sequence[str], unread: Sequence[Unread]) -> str:
    said = f"no line of the patched code was read that {' or '.join(manners) or 'touches'} it"
    if not unread:
        return said
    places = ", ".join(one.place for one in unread[:SHOWN])
    more = f" and {len(unread) - SHOWN} more" if len(unread) > SHOWN else ""
    return f"{said}; not followed: {places}{more}"


def _undefined(finding: Finding, step: SymbolChange, code: PatchedCode) -> Iterator[str]:
    if finding.kind == "abstract-added":
        for name in sorted(step.new.abstract - step.old.abstract):
            if not code.on(f"{finding.symbol}.{name}"):
                yield f"nothing that was read defines `{name}`"


def _by_header(finding: Finding, named: Sequence[Patch], step: SymbolChange) -> Finding:
    begins = tuple(patch.name for patch in named if not patch.needed_on(step.before))
    if begins:
        because = "it begins here, and its header names the symbol; only the gates prove it"
        return replace(finding, fixed_by=begins, because=because)
    stands = tuple(patch.name for patch in named)
    because = "it was written for an earlier change of the same symbol; only the gates can show more" if stands else ""
    return replace(finding, perhaps_by=stands, because=because)


def _names(patch: Patch, symbol: str) -> bool:
    """Whether a patch's header names a symbol, or one of the methods that a ``forward`` may be."""
    return any(one == symbol or one.startswith(f"{symbol}_") for one in patch.symbols)


def misfits(touch: Touch, old: Contract, contract: Contract) -> Iterator[str]:
    """Why a call, or a replacement, no longer fits what the symbol takes."""
    if not contract.there:
        return
    if touch.call is None:
        if touch.manner in ("wraps", "replaces"):
            yield f"what takes its place at {touch.place} could not be followed"
        return
    for at, (before, after) in enumerate(zip(old.parameters, contract.parameters, strict=False)):
        if at < touch.call.positional and "positional" == before.kind == after.kind and before.name != after.name:
            yield f"{touch.place} has `{before.name}` where `{after.name}` stands now"
    if touch.manner in ("calls", "constructs"):
        yield from _call_misfits(touch, touch.call, contract)
    elif touch.manner in ("wraps", "replaces"):
        for site in contract.callers:
            taken = touch.call.rest or site.positional <= touch.call.positional
            named = touch.call.named or {*site.keywords} <= {*touch.call.keywords, *touch.call.names}
            if not site.open_ended and not (taken and named):
                yield f"{touch.place} does not take what {site.place} gives"
        needed = [one for one in contract.parameters if one.needed]
        if not touch.call.rest and len(needed) > touch.call.positional:
            yield f"{touch.place} does not take `{needed[touch.call.positional].name}`"


def _call_misfits(touch: Touch, call: CallShape, contract: Contract) -> Iterator[str]:
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
