"""Removes a model's thinking, even if cut off, from answers that are code, where such a tag may be plain text."""

from __future__ import annotations

import re

THINKING = re.compile(r"(?:\A\s*|^)<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.MULTILINE | re.DOTALL)
LONE_END = re.compile(r"</think(?:ing)?>[ \t]*$", re.MULTILINE)  # a chat template may have opened the thinking


def strip_thinking(text: str, defines: re.Pattern[str]) -> str:
    """The answer alone. ``defines`` finds what it must hold: that is never removed before a lone closing tag."""
    text = THINKING.sub("", text)
    rest = LONE_END.split(text, maxsplit=1)[-1]
    return rest if defines.search(rest) or not defines.search(text) else text
