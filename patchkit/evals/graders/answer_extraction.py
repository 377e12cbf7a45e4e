r"""Where in a text its answer stands, the same for every grader that compares answers.

A model's thinking and a next question that it asks itself are not part of the answer. Of the rest the last
``\boxed{}`` is the answer, else what follows the last ``####``; else each grader looks for what it can compare.
"""

from __future__ import annotations

import re

BRACE = re.compile(r"\\(?:boxed|fbox)\s*\{|[{}]")
ENDS, BEGINS = re.compile("</think(?:ing)?>"), re.compile("<think(?:ing)?>")
HEADING = re.compile(r"(?:step|part|case|section|solution|method)\b|[^0-9\\$]{4,}$", re.IGNORECASE)
HASHES = re.compile(r"^[ \t]*####[ \t]*(\S[^\n]*)$", re.MULTILINE)
SAYS = re.compile(r"\banswer(?:\s+is\b|\**\s*[:=])|答案\s*\**\s*[是为:：=]", re.IGNORECASE)  # noqa: RUF001
DELIMITED = re.compile(
    rf"(?:{SAYS.pattern})[\s*:：]*(?:\\\((.+?)\\\)|\\\[(.+?)\\\]|\$\$(.+?)\$\$|\$([^$\n]+)\$)",  # noqa: RUF001
    re.IGNORECASE | re.DOTALL,
)
NEXT_QUESTION = re.compile(
    r"^[ \t]*(?:\*\*|#+[ \t]*)?(?:(?:Question|Problem|Q|Human|User)\b|问题|题目)[ \t]*[0-9]*\**[ \t]*[:：]",  # noqa: RUF001
    re.MULTILINE,
)


def answer_part(text: str) -> str:
    """The part that holds the answer: without thinking, even if that was cut off, and without a next question."""
    text = BEGINS.split(ENDS.split(text)[-1])[0]
    for found in NEXT_QUESTION.finditer(text):
        if is_stated(text[: found.start()]):
            return text[: found.start()]
    return text


def is_stated(text: str) -> bool:
    """Whether the text says which answer it gives."""
    return stated(text) is not None or SAYS.search(text) is not None


def stated(text: str) -> str | None:
    """What the last box holds, else the line after the last ``####``, up to a remark in brackets; None without."""
    box = last_box(text)
    if box is not None:
        return box
    lines = [line for line in HASHES.findall(text) if not HEADING.match(line)]
    return re.split(r"\s+(?<!\\)[(\[]", lines[-1])[0].strip() if lines else None


def delimited(text: str) -> str | None:
    """The LaTeX that follows the last "the answer is"; None if none does."""
    found = DELIMITED.findall(text)
    return next((part.strip() for part in found[-1] if part.strip()), None) if found else None


def last_box(text: str) -> str | None:
    r"""What the last ``\boxed{}`` holds, braces matched; one that is empty or never closed does not count."""
    opened: list[tuple[int, bool]] = []
    boxes = {}
    for found in BRACE.finditer(text):
        if found.group() != "}":
            opened.append((found.end(), found.group() != "{"))
        elif opened:
            start, is_box = opened.pop()
            boxes[start] = text[start : found.start()].strip() if is_box else ""
    return next((boxes[start] for start in sorted(boxes, reverse=True) if boxes[start]), None)
