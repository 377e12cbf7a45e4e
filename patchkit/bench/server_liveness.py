"""Whether a server's runtime was at work in a draw, as far as its counters can show it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from patchkit.gates.events import Drawn, Progress


@dataclass(frozen=True)
class ServedCounters:
    """What a server's counters must at least have grown by while it drew.

    A server may draw for others too, and its requests under way have rows that no answer tells of yet. So there are
    lower bounds only: as many rows as the answers had.

    Attributes:
        counters: name -> what it must be, as the manifest declares.
        idle: the settings turn the runtime off, so that counters that must be positive may stay zero.
    """

    counters: Mapping[str, str]
    idle: bool = False

    def wrong(self, counters: Mapping[str, Any], counts: Progress | Drawn, rows: int) -> Iterator[str]:
        """One row for each sample may be missing: with asynchronous scheduling a step is in flight."""
        expected = counts.decode_rows
        for name, must_be in self.counters.items():
            found = counters.get(name)
            if must_be == "any" or not expected:
                continue
            if found is None or isinstance(found, bool) or not isinstance(found, int | float):
                yield f"the server does not count {name}"
            elif not math.isfinite(found):
                yield f"{name} is {found}"
            elif must_be == "decode_rows" and found < max(1, expected - rows):
                yield f"{name} grew by {found:,.0f} in {expected:,} decode rows"
            elif must_be in ("decode_steps", "steps") and found < 1:
                yield f"{name} did not grow in {expected:,} decode rows"
            elif must_be == "zero" and found:
                yield f"{name} grew by {found:,.0f} and must not"
            elif must_be == "positive" and not self.idle and not found:
                yield f"{name} did not grow"


class NotObserved:
    """The server tells no counters: nothing can be wrong, and nothing is shown."""

    def wrong(self, counters: Mapping[str, Any], counts: Progress | Drawn, rows: int) -> Iterator[str]:
        """Nothing."""
        return iter(())


def grown(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Counters over a draw: by how much each whole number grew; anything else, such as a mean, as it is at the end."""
    return {name: value - before.get(name, 0) if _counts(value) else value for name, value in after.items()}


def _counts(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
