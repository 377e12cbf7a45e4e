"""Evidence that a verb has made: written, and shown or printed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from patchkit.files import shortest
from patchkit.gates.evidence import Circumstances, to_json, write_evidence


def publish(record: Circumstances, places: Iterable[Path], as_json: bool, show: Callable[[str], None]) -> None:
    """Write evidence in each place; print it as JSON, or ``show`` it with the name of the first place."""
    first, *others = places
    for place in (first, *others):
        write_evidence(place, record)
    if as_json:
        print(to_json(record), end="")
    else:
        show(shortest(first))
