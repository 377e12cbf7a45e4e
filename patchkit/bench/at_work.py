"""Was the runtime at work in a draw? Good text is no sign of life."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from patchkit.bench.shards import DrawError
from patchkit.gates.events import Drawn, Progress

UNDER_WAY = 2  # steps that the worker has counted and the runtime has not, with asynchronous scheduling


@dataclass(frozen=True)
class Owed:
    """What a runtime's counters must be while it draws.

    Attributes:
        counters: name -> what it must be, as the manifest declares: ``decode_rows``, ``decode_steps``, ``zero``,
            ``positive``, ``any``.
        idle: the runtime was told to change nothing, so that what must be positive may stay zero.
    """

    counters: Mapping[str, str] = field(default_factory=dict)
    idle: bool = False

    @property
    def tells(self) -> bool:
        """Whether any counter could show that the runtime is dead."""
        return bool({"decode_rows", "decode_steps"} & {*self.counters.values()})


def check_at_work(counters: Mapping[str, Any], said: Progress | Drawn, rows: int, owed: Owed) -> None:
    """Hold the runtime's counters against what the worker saw, in one process, from its start.

    One row a sample may be more or less: with asynchronous scheduling a step is on its way. This is asked of each
    process by itself, so that what is lost in one does not hide among the others.

    Args:
        counters: the runtime's.
        said: what the worker counted.
        rows: samples that have a token.
        owed: what the counters must be.

    Raises:
        DrawError: it was not at work, in one line.
    """
    wrong = list(_wrong(counters, said, rows, owed))
    if wrong:
        raise DrawError(f"the runtime was not at work: {', '.join(wrong)}")


def _wrong(counters: Mapping[str, Any], said: Progress | Drawn, rows: int, owed: Owed) -> Iterator[str]:
    expected = said.decode_rows
    seen = expected > (0 if isinstance(said, Drawn) else rows)  # decode rows that no step under way explains
    if not expected and said.tokens > 2 * rows:
        yield f"no decode row was seen in {said.tokens:,} tokens"
    for name, must_be in owed.counters.items():
        found = counters.get(name)
        if found is not None and not math.isfinite(found):
            if seen:
                yield f"{name} is {found}"
        elif must_be == "any" or (must_be == "positive" and (owed.idle or not seen)):
            continue
        elif found is None:
            yield f"it did not count {name}"
        elif must_be == "decode_rows" and (abs(found - expected) > rows or (seen and not found)):
            yield f"{name} is {found:,.0f} of {expected:,} decode rows"
        elif must_be == "decode_steps" and (abs(found - said.decode_steps) > UNDER_WAY or (seen and not found)):
            yield f"{name} is {found:,.0f} of {said.decode_steps:,} steps with decode rows"
        elif must_be == "zero" and found:
            yield f"{name} is {found:,.0f} and must be 0"
        elif must_be == "positive" and not found:
            yield f"{name} is 0"


def merge_counters(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Counters of several processes: whole numbers add up, a yes is one only if all say so, else the last one's."""
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
