"""Tokens per second with and without the runtime, paired. A figure, never a bound: speed is judged by people."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from patchkit.evals.paired_ratio import paired_ratio
from patchkit.gates.events import Pass
from patchkit.gates.invariants.base import Broken, Figures, Params, SummaryClause, invariant, parts_of
from patchkit.gates.part_run import Run


class ThroughputParams(Params, frozen=True):
    """``warmup``: pairs dropped at the start, which include the cost of caches and allocations."""

    warmup: int = 1

    def __post_init__(self) -> None:
        self.at_least(0, "warmup")


def ratios(figures: Figures) -> list[str]:
    """``0.71 x plain vLLM's tokens/s [0.68, 0.74]`` for every paired measurement."""
    phrases = []
    for part, value in parts_of(figures, "ratio"):
        low, high = (figures.get(f"{part}ratio_{end}") for end in ("low", "high"))
        if isinstance(low, int | float) and isinstance(high, int | float):
            name = f"{part.rstrip('.')} " if part else ""
            phrases.append(f"{name}{value:.2f} x plain vLLM's tokens/s [{low:.2f}, {high:.2f}]")
    return phrases


@invariant(params=ThroughputParams, clauses=(SummaryClause(20, ratios),), passes=("plain", "patched"))
def throughput(run: Run, params: ThroughputParams, figures: Figures) -> Iterator[Broken]:
    """Every pair after the warm-up was measured; their ratio, with its interval, goes into the figures."""
    pairs = list(run.pairs())[params.warmup :]
    due = run.pairs_due - params.warmup
    if len(pairs) != due or not pairs:
        yield Broken(f"{len(pairs)} of {due} pairs measured")
        return
    if any(not (done.seconds > 0 and done.generated_tokens > 0) for pair in pairs for done in pair):
        yield Broken("a pass took no time or made no tokens: nothing was measured")
        return
    plain, patched = ([speed(done) for done in side] for side in zip(*pairs, strict=True))
    ratio = paired_ratio(plain, patched)
    figures["plain_tokens_per_second"], figures["patched_tokens_per_second"] = median(plain), median(patched)
    figures["ratio"], figures["ratio_low"], figures["ratio_high"] = ratio.median, ratio.low, ratio.high
    figures["ratio_confidence"], figures["pairs"] = ratio.confidence, ratio.pairs


def speed(done: Pass) -> float:
    """Generated tokens per second."""
    return done.generated_tokens / done.seconds
