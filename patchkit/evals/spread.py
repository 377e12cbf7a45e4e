"""Semantic spread: how different the samples of one problem are, so that a lift in pass@k can be traced to breadth."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence


def distinct_share(values: Sequence[str | None], of: int | None = None) -> float | None:
    """Distinct values as a share of all values; None counts neither way. 1 if all differ, 1/m if all m are the same.

    The share falls with m, since values repeat. Where m differs, as between modes with unequal numbers of answers,
    ask for a common size: the expected share of ``of`` values drawn without replacement (rarefaction, Hurlbert 1971).

    Returns:
        None if there are no values, or fewer than ``of``.

    Raises:
        ValueError: ``of`` is below 1.
    """
    if of is not None and of < 1:
        raise ValueError(f"a share of {of} values is none")
    counts = Counter(value for value in values if value is not None)
    total = sum(counts.values())
    drawn = total if of is None else of
    if not 0 < drawn <= total:
        return None
    expected = math.fsum(1 - _chance_of_none(total, count, drawn) for count in counts.values())
    return expected / drawn


def _chance_of_none(total: int, count: int, drawn: int) -> float:
    """That none of ``count`` values is among ``drawn`` of ``total``: C(total - count, drawn) / C(total, drawn)."""
    return math.comb(total - count, drawn) / math.comb(total, drawn)
