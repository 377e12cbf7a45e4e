"""Numbers as people write them, with a real minus."""

from __future__ import annotations

MINUS = "\N{MINUS SIGN}"


def signed(value: float) -> str:
    """``0.124``, ``1,234``, with a real minus where it is below zero."""
    size = abs(value)
    return f"{MINUS if value < 0 else ''}{f'{size:,.0f}' if size >= 1000 or size == int(size) else f'{size:.3g}'}"


def points(difference: float) -> str:
    """``+1.8``, ``0.0``: a difference of rates in percentage points, with a real minus where they are fewer."""
    size = f"{100 * abs(difference):.1f}"
    return size if size == "0.0" else f"{'+' if difference > 0 else MINUS}{size}"
