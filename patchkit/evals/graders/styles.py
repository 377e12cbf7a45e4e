r"""LaTeX commands that change how something looks, and not what it says: ``\text``, ``\mathbf``, ``\textcolor``."""

from __future__ import annotations

import re

NAMES = (
    r"text(?:rm|bf|it|tt|sf|sc|sl|up|md|normal)?|math(?:rm|bf|it|sf|tt|bb|cal|scr|normal)"
    r"|bm|pmb|boldsymbol|mbox|hbox|emph|underline|operatorname\*?"
)
COMMAND = rf"\\(?:(?:{NAMES})|textcolor\s*\{{[^{{}}]*\}})\s*"
COLOUR = re.compile(r"\\color\s*\{[^{}]*\}")
WITHOUT_BRACES = re.compile(rf"\\(?:{NAMES})\s*(?=[-+.0-9])")
AN_ARGUMENT = re.compile(r"[\w^\])}]\s*$")  # what a brace follows that opens no mere group
TOKEN = re.compile(rf"{COMMAND}\{{|\\[{{}}]|[{{}}]")


def flatten_styles(text: str) -> str:
    r"""``text`` with no style inside of another, and no mere groups: ``{\textbf{\mathrm{7}3}}`` is ``\text{73}``."""
    return _rewritten(text, r"\text{", "}")


def strip_styles(text: str) -> str:
    r"""``text`` with no style at all: ``\textbf{73} cm`` becomes ``73 cm``."""
    return _rewritten(text, "", "")


def _rewritten(text: str, opening: str, closing: str) -> str:
    """One pass: what opens and closes a style outside of any is replaced, and inside of one left out."""
    text = WITHOUT_BRACES.sub(" ", COLOUR.sub("", text))
    written, at = list[str](), 0
    ends, styles = list[str | None](), 0  # what each open brace is closed with, None if it is a style's; and how many
    for found in TOKEN.finditer(text):
        written.append(text[at : found.start()])
        at, token = found.end(), found.group()
        if token.startswith("\\") and token[1] in "{}":
            written.append(token)
        elif token == "}":
            end = ends.pop() if ends else "}"
            styles -= end is None
            written.append(end if end is not None else "" if styles else closing)
        elif token == "{":
            grouped = AN_ARGUMENT.search(text[max(0, found.start() - 9) : found.start()]) is None
            bare = grouped and bool(styles or opening)
            ends.append("" if bare else "}")
            written.append("" if bare else "{")
        else:
            apart = " " if not opening and written[-1][-1:].isalnum() else ""
            written.append(apart if styles else apart + opening)
            ends.append(None)
            styles += 1
    return "".join([*written, text[at:]])
