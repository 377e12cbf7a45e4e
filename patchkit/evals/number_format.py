"""Numbers as people write them, with a real minus."""

from __future__ import annotations

MINUS = "\N{MINUS SIGN}"


def signed(value: float) -> str:
    """``0.124``, ``1,234``, with a real minus where it is below zero."""
    size = abs(value)
    return f"{MINUS if value < 0 else ''}{f'{size:,.0f}' if size >= 1000 or size == int(size) else f'{size:.3g}'}"


def points(difference: float) -> str:
    """``+1.8``, ``0.0``: a difference of rates in percentage points, with a real minus where they are fewer.

    One digit more where it would read as no difference and is one: ``+0.03``.
    """
    sizes = (f"{100 * abs(difference):.1f}", f"{100 * abs(difference):.2f}")
    size = next((one for one in sizes if float(one)), "")
    return f"{'+' if difference > 0 else MINUS}{size}" if size else "0.0"
