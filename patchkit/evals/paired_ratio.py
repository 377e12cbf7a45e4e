"""The ratio of paired measurements, with an interval that assumes nothing about their distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from statistics import median


@dataclass(frozen=True)
class PairedRatio:
    """The median ratio, and the narrowest pair of order statistics that covers it with ``confidence``."""

    median: float
    low: float
    high: float
    confidence: float
    pairs: int


def paired_ratio(before: Sequence[float], after: Sequence[float], confidence: float = 0.95) -> PairedRatio:
    """``after / before``, pair by pair. Few pairs cannot carry 95%: then all of them are the interval."""
    ratios = sorted(late / early for early, late in zip(before, after, strict=True))
    trimmed = 0
    while coverage(len(ratios), trimmed + 1) >= confidence:
        trimmed += 1
    low, high = ratios[trimmed], ratios[-1 - trimmed]
    return PairedRatio(median(ratios), low, high, coverage(len(ratios), trimmed), len(ratios))


def coverage(pairs: int, trimmed: int) -> float:
    """How sure the median lies between the order statistics left after trimming: 1 - 2·P(Binomial(n, ½) ≤ trimmed)."""
    if 2 * trimmed >= pairs - 1:
        return 0.0
    tail: int = sum(comb(pairs, rank) for rank in range(trimmed + 1))
    return 1 - 2 * tail / float(2**pairs)
