"""Wording helpers shared by all packages."""

from __future__ import annotations

from collections.abc import Sequence


def counted(number: float, one: str, many: str = "") -> str:
    """``1 row``, ``2 rows``; ``many`` where the plural is not ``one`` and an s."""
    shown = str(number) if isinstance(number, int) else f"{number:g}"
    return f"{shown} {one if number == 1 else many or f'{one}s'}"


def all_of(number: int, what: str) -> str:
    """``both tasks``, ``all 3 tasks``."""
    return f"both {what}s" if number == 2 else f"all {counted(number, what)}"


def any_of(number: int, what: str) -> str:
    """``either task``, ``any of 3 tasks``."""
    return f"either {what}" if number == 2 else f"any of {counted(number, what)}"


def joined(parts: Sequence[str]) -> str:
    """``a, b and c``."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def shortened(reason: str, most: int = 90) -> str:
    """A reason cut to ``most`` characters."""
    return reason if len(reason) <= most else f"{reason[: most - 1]}…"
