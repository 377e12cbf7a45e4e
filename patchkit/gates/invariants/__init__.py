"""What must hold, a file each: the rule, and beside it the line people read when it is broken."""

from patchkit.gates.invariants import (
    alive,
    answers,
    counts_equal,
    credited,
    exercised,
    finished,
    gold_rows,
    independent,
    intervened,
    learning,
    moved,
    refused,
    same_tokens,
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
    "credited",
    "exercised",
    "find_invariant",
    "finished",
    "gold_rows",
    "independent",
    "intervened",
    "learning",
    "moved",
    "refused",
    "same_tokens",
    "throughput",
    "totals",
]
