"""Whether the runtime was at work in a draw: plausible text alone does not show it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from patchkit.bench.shards import DrawError
from patchkit.gates.events import Drawn, Progress

UNDER_WAY = 2  # steps that the worker has counted and the runtime has not, with asynchronous scheduling


@dataclass(frozen=True)
class RequiredCounters:
    """What a runtime's counters must be while it draws.

    Attributes:
        counters: name -> what it must be, as the manifest declares: ``decode_rows``, ``decode_steps``, ``zero``,
            ``positive``, ``any``.
        idle: the settings turn the runtime off, so that counters that must be positive may stay zero.
    """

    counters: Mapping[str, str] = field(default_factory=dict)
    idle: bool = False

    @property
    def show_use(self) -> bool:
        """Whether any counter could show that the runtime is inactive."""
        return bool({"decode_rows", "decode_steps"} & {*self.counters.values()})

    def wrong(self, counters: Mapping[str, Any], counts: Progress | Drawn, rows: int) -> Iterator[str]:
        """Compared exactly: the process draws nothing else."""
        expected = counts.decode_rows
        seen = expected > (0 if isinstance(counts, Drawn) else rows)  # decode rows that no step under way explains
        if not expected and counts.tokens > 2 * rows:
            yield f"no decode row was seen in {counts.tokens:,} tokens"
        for name, must_be in self.counters.items():
            found = counters.get(name)
            if found is not None and not math.isfinite(found):
                if seen:
                    yield f"{name} is {found}"
            elif must_be == "any" or (must_be == "positive" and (self.idle or not seen)):
                continue
            elif found is None:
                yield f"it did not count {name}"
            elif must_be == "decode_rows" and (abs(found - expected) > rows or (seen and not found)):
                yield f"{name} is {found:,.0f} of {expected:,} decode rows"
            elif must_be == "decode_steps" and (abs(found - counts.decode_steps) > UNDER_WAY or (seen and not found)):
                yield f"{name} is {found:,.0f} of {counts.decode_steps:,} steps with decode rows"
            elif must_be == "zero" and found:
                yield f"{name} is {found:,.0f} and must be 0"
            elif must_be == "positive" and not found:
                yield f"{name} is 0"


class Liveness(Protocol):
    """What shows that a runtime was at work."""

    def wrong(self, counters: Mapping[str, Any], counts: Progress | Drawn, rows: int) -> Iterator[str]:
        """Whatever shows that it was not, a clause each; see :func:`check_liveness`."""


def check_liveness(counters: Mapping[str, Any], counts: Progress | Drawn, rows: int, required: Liveness) -> None:
    """Compare the runtime's counters with what the worker counted, in one process, from its start.

    The counts may differ by one row for each sample: with asynchronous scheduling a step is in flight. Each process is
    checked by itself, so that a dead shard is not hidden by the others.

    Args:
        counters: the runtime's.
        counts: what the worker counted.
        rows: samples that have a token.
        required: what the counters must be.

    Raises:
        DrawError: it was not at work; the message is one line.
    """
    wrong = list(required.wrong(counters, counts, rows))
    if wrong:
        raise DrawError(f"the runtime was not at work: {', '.join(wrong)}")


def merge_counters(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Counters of several processes: sums of whole numbers, the conjunction of booleans, the last of other values."""
    merged: dict[str, Any] = {}
    for counters in parts:
        for name, value in counters.items():
            known = merged.get(name)
            if value is None:
                merged.setdefault(name, None)
            elif known is None:
                merged[name] = value
            elif isinstance(value, bool):
                merged[name] = value and known
            else:
                merged[name] = known + value if isinstance(value, int) else value
    return merged
