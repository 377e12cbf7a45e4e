"""What must hold for any runtime, a file each: the condition, and beside it the line people read if it is broken."""

from patchkit.gates.invariants import (
    alive,
    answers,
    counts_equal,
    exercised,
    finished,
    honoured,
    independent,
    poisoned,
    refused,
    refused_or_right,
    same_tokens,
    sampled,
    throughput,
    totals,
)
from patchkit.gates.invariants.base import REGISTRY, Broken, Figures, Invariant, find_invariant

__all__ = [
    "REGISTRY",
    "Broken",
    "Figures",
    "Invariant",
    "alive",
    "answers",
    "counts_equal",
    "exercised",
    "find_invariant",
    "finished",
    "honoured",
    "independent",
    "poisoned",
    "refused",
    "refused_or_right",
    "same_tokens",
    "sampled",
    "throughput",
    "totals",
]
