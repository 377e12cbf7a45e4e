"""What a drift says of patches that upstream has taken in, for people; the same in every form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from patchkit.drift.retirement import Retirement


def lines(retired: Sequence[Retirement], release: str, runtime: str) -> Iterator[str]:
    """A line a patch: which, since when, by what sign, whether ``Applies-To`` agrees, and what proves it."""
    for one in retired:
        proof = "" if one.sign == "none" else f"; `patchkit knockout --runtime {runtime} --vllm {release}` proves it"
        yield f"{_found(one, f'vLLM {release} seems not to need {one.patch}')}{proof}"


def brief(retired: Sequence[Retirement]) -> Iterator[str]:
    """The same below a release that is named already."""
    for one in retired:
        yield _found(one, f"seems not to need {one.patch[:4]}")


def _found(one: Retirement, what: str) -> str:
    if one.sign == "none":
        return f"Applies-To of {one.patch[:4]} ends before this release, and {one.because}: only the gates can tell"
    return f"{what}: {short(one.symbol)}: {one.because}; {_header(one)}"


def _header(one: Retirement) -> str:
    if one.narrowed is None:
        return f"its `Applies-To: {one.applies_to}` agrees"
    if not one.narrowed:
        return f"`Applies-To: {one.applies_to}` takes it still: drop the patch"
    return f"`Applies-To: {one.applies_to}` takes it still: narrow it to `{one.narrowed}`"


def short(symbol: str) -> str:
    """The last two words of a symbol, or the last of a module's: ``Sampler.sample``, ``envs.VLLM_X``."""
    return ".".join(symbol.split(".")[-2:])
