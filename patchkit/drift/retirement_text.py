"""What a drift says of patches that upstream has taken in, for people; the same in every form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from patchkit.drift.retirement import Retirement


def lines(retired: Sequence[Retirement], release: str, runtime: str) -> Iterator[str]:
    """A line a patch: which, since when, by what sign, whether ``Applies-To`` agrees, and what proves it."""
    for one in retired:
        number = one.patch[:4]
        if one.sign == "none":
            yield f"Applies-To of {number} ends before vLLM {release}, and {one.because}: only the gates can tell"
            continue
        what = f"vLLM {release} seems not to need {one.patch}: {short(one.symbol)}: {one.because}"
        yield f"{what}; {_header(one)}; `patchkit knockout --runtime {runtime} --vllm {release}` proves it"


def _header(one: Retirement) -> str:
    if one.narrowed is None:
        return f"its `Applies-To: {one.applies_to}` agrees"
    if not one.narrowed:
        return f"`Applies-To: {one.applies_to}` takes it still: drop the patch"
    return f"`Applies-To: {one.applies_to}` takes it still: narrow it to `{one.narrowed}`"


def short(symbol: str) -> str:
    """The last two words of a symbol."""
    return ".".join(symbol.split(".")[-2:])
