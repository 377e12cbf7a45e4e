"""Signs in vLLM's sources that a release no longer needs a patch, and what its header should say then.

Sources show a part of it only. The knock-out proves the rest: `patchkit knockout --vllm RELEASE`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from packaging.version import Version

from patchkit.drift.contract import Contract
from patchkit.drift.findings import returns_changed
from patchkit.drift.findings.finding import Case
from patchkit.drift.fixes import misfits
from patchkit.drift.patch_adoption import upstreamed
from patchkit.drift.reading import Reading
from patchkit.drift.touch import Touch
from patchkit.errors import PatchkitError
from patchkit.series.narrow_applies_to import narrowed
from patchkit.series.patch import Patch
from patchkit.series.series import Series

Sign = Literal["taken in", "fits", "back", "none"]


@dataclass(frozen=True)
class Retirement:
    """A patch that the older release takes, and what the newer one shows of it.

    Attributes:
        symbol: the vLLM symbol that shows it; empty if none does.
        sign: "taken in" if what the patch adds stands in vLLM now; "fits" if the code without the patch fits the symbol
            now, and did not; "back" if the symbol returns again what it did before the patch was needed; "none" if
            ``Applies-To`` ends here and nothing shows why.
        because: a clause.
        applies_to: what the header says.
        narrowed: what the header should say; empty if the patch can go, None if it leaves the release out already.
    """

    patch: str
    symbol: str
    sign: Sign
    because: str
    applies_to: str
    narrowed: str | None = None


@dataclass(frozen=True)
class ReleasePair:
    """From one release to another.

    Attributes:
        without: the touches on a symbol of the runtime as it is for the older release, less one patch.
        base: the contract of a symbol in the release that the runtime was developed on; None if that cannot be read.
    """

    old: Reading
    new: Reading
    developed_on: Version
    without: Callable[[Patch, str], Sequence[Touch]]
    base: Callable[[str], Contract | None]

    @property
    def before(self) -> Version:
        return Version(self.old.release)

    @property
    def after(self) -> Version:
        return Version(self.new.release)


def retirements(series: Series, step: ReleasePair) -> Iterator[Retirement]:
    """Of every patch that the older release takes: whether the newer one shows that it can go."""
    for patch in series.patches:
        if not patch.needed_on(step.before):
            continue
        signs = [sign for symbol in _symbols(patch, step) for sign in _signs(patch, symbol, step)]
        header = f"vllm {patch.applies_to}".strip()
        narrower = narrowed(patch.applies_to, {step.before: True, step.after: False}, step.developed_on)
        for symbol, sign, because in signs[:1]:
            yield Retirement(patch.name, symbol, sign, because, header, narrower)
        if not signs and not patch.needed_on(step.after):
            yield Retirement(patch.name, "", "none", "nothing in vLLM's sources shows why", header)


def _symbols(patch: Patch, step: ReleasePair) -> list[str]:
    """The vLLM symbols in a patch's header that both releases have and whose code changed."""
    contracts = [(name, step.old.contracts.get(name), step.new.contracts.get(name)) for name in patch.symbols]
    return [name for name, old, new in contracts if old and new and old.there and new.there and old != new]


def _signs(patch: Patch, symbol: str, step: ReleasePair) -> Iterator[tuple[str, Sign, str]]:
    old, new = step.old.contracts[symbol], step.new.contracts[symbol]
    share = upstreamed(patch, old, new)
    if share:
        yield symbol, "taken in", f"{share} of what the patch adds stand in it now"
    if _loosened(old, new) and _fits_again(patch, symbol, step):
        yield symbol, "fits", "the code without the patch fits what it takes and is given, and did not before"
    if _differ(old, new) and not patch.needed_on(step.developed_on):
        base = step.base(symbol)
        if base is not None and _differ(base, old) and not _differ(base, new):
            yield symbol, "back", f"it returns again what it did in {step.developed_on}"


def _loosened(old: Contract, new: Contract) -> bool:
    """Whether a symbol gives or asks for less than before, or takes more: only then can what did not fit, fit now.

    It spares laying the runtime out without the patch.
    """
    given, asked, takes = (
        [part(contract) for contract in (old, new)]
        for part in (_given, lambda one: {each.name for each in one.parameters if each.needed}, _taken)
    )
    return bool(given[0] - given[1] or asked[0] - asked[1] or takes[1] - takes[0])


def _given(contract: Contract) -> set[tuple[int, tuple[str, ...]]]:
    return {(site.positional, site.keywords) for site in contract.callers if not site.open_ended}


def _taken(contract: Contract) -> set[str]:
    """Names of the parameters that a call may give; of those for all that is left over, their kind."""
    return {one.kind if one.kind in ("rest", "named") else one.name for one in contract.parameters}


def _fits_again(patch: Patch, symbol: str, step: ReleasePair) -> bool:
    old, new = step.old.contracts[symbol], step.new.contracts[symbol]
    try:
        touches = step.without(patch, symbol)
    except PatchkitError:  # the patch cannot be left out alone
        return False
    before = any(said for touch in touches for said in misfits(touch, old, old))
    return before and not any(said for touch in touches for said in misfits(touch, new, new))


def _differ(one: Contract, other: Contract) -> bool:
    return any(returns_changed.find(Case(one.symbol, {"unpacks"}, one, other)))
