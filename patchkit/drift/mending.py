"""Which patch mends a finding: by its header, and where the code can tell, by the code that it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from packaging.version import Version

from patchkit.drift.contract import Contract, Parameter
from patchkit.drift.findings import Finding
from patchkit.drift.findings.setting_changed import UPSTREAM
from patchkit.drift.touches import Call, Touch
from patchkit.errors import PatchkitError
from patchkit.series.patch import Patch
from patchkit.series.series import Series

TOLD_BY_CODE = ("parameter-added", "parameter-removed", "parameter-renamed", "parameter-keyword-only")

Touches = Callable[[str], Sequence[Touch]]
"""The touches of the patched runtime on a symbol; read when first asked for."""


def mended(finding: Finding, series: Series, release: Version, contract: Contract, touches: Touches) -> Finding:
    """``finding`` with the patches that mend it on ``release``.

    Args:
        contract: the symbol's, in that release.
        touches: what the runtime, patched for that release, does with a symbol.
    """
    if not finding.breaks or finding.mended_by:
        return finding
    named = _most_like(
        finding, [one for one in series.patches if _names(one, finding.symbol) and one.needed_on(release)]
    )
    if finding.kind not in TOLD_BY_CODE:
        return _by_header(finding, named) if named else finding
    try:
        theirs = touches(finding.symbol)
    except PatchkitError as error:
        return replace(finding, because=f"the series does not go on: {error.what}")
    complaints = [said for touch in theirs for said in misfits(touch, contract)]
    if complaints:
        return replace(finding, because="; ".join(dict.fromkeys(complaints)))
    because = "its code takes what vLLM gives, and gives what it takes" if theirs else "its code no longer touches this"
    return replace(finding, mended_by=tuple(patch.name for patch in named) or (UPSTREAM,), because=because)


def _most_like(finding: Finding, patches: list[Patch]) -> list[Patch]:
    """Of several patches for one symbol those whose drift is of the finding's kind, loud or silent."""
    return [patch for patch in patches if patch.kind == finding.severity] or patches


def _by_header(finding: Finding, named: Sequence[Patch]) -> Finding:
    return replace(
        finding,
        mended_by=tuple(patch.name for patch in named),
        because="its header names the symbol and this release; only the gates prove it",
    )


def _names(patch: Patch, symbol: str) -> bool:
    """Whether a patch's header names a symbol, or one of the methods that a ``forward`` may be."""
    named = [one.strip() for one in patch.symbol.split(",")]
    return any(one == symbol or one.startswith(f"{symbol}_") for one in named)


def misfits(touch: Touch, contract: Contract) -> Iterator[str]:
    """Why a call, or a replacement, no longer fits what the symbol takes."""
    if touch.call is None or not contract.there:
        return
    if touch.manner == "calls":
        yield from _call_misfits(touch, touch.call, contract)
    elif touch.manner in ("wraps", "replaces"):
        for site in contract.callers:
            taken = touch.call.rest or site.positional <= touch.call.positional
            named = touch.call.named or {*site.keywords} <= {*touch.call.keywords}
            if not site.open_ended and not (taken and named):
                yield f"{touch.place} does not take what {site.place} gives"
        needed = [one for one in contract.parameters if _needed(one)]
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
        if _needed(one) and one.name not in given:
            yield f"{touch.place} does not give `{one.name}`"


def _needed(parameter: Parameter) -> bool:
    return parameter.default is None and parameter.kind in ("positional", "keyword")
