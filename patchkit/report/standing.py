"""What is known of a tree, as a line for a terminal."""

from __future__ import annotations

from rich.text import Text

from patchkit.proof.standing import Standing, State

WORDS: dict[State, tuple[str, str, str]] = {
    "proven": ("✓", "green", "proven"),
    "unknown": ("?", "yellow", "not proven"),
    "broken": ("✗", "red", "known not to work"),
}
"""Mark, colour and words of each state."""


def standing_line(one: Standing) -> Text:
    """``✓ proven on cpu with vLLM's first model runner: 12 of 12 gates green on 2026-11-26 (FILE)``."""
    mark, colour, word = WORDS[one.state]
    fix = f"; {one.fix}" if one.fix else ""
    return Text.assemble((mark, colour), f" {word} {one.place}: {one.why}{fix}")
