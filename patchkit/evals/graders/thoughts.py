"""Code answers without what a model thought first, be it cut off. In code such a tag may be a text like any other."""

from __future__ import annotations

import re

THOUGHT = re.compile(r"(?:\A\s*|^)<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.MULTILINE | re.DOTALL)
LONE_END = re.compile(r"</think(?:ing)?>[ \t]*$", re.MULTILINE)  # a chat template may have begun the thought


def without_thoughts(text: str, defines: re.Pattern[str]) -> str:
    """The answer alone; ``defines`` finds what it must hold, and so may not be cut off as a thought that only ended."""
    text = THOUGHT.sub("", text)
    rest = LONE_END.split(text, maxsplit=1)[-1]
    return rest if defines.search(rest) or not defines.search(text) else text
