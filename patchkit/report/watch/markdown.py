"""A tick for an issue: the verdict, every new release in a row, then what changed and what the gates say."""

from __future__ import annotations

from collections.abc import Iterator

from patchkit.plural import joined
from patchkit.report import markdown
from patchkit.report.drift import markdown as drifts
from patchkit.report.markdown import escaped
from patchkit.watch.report_files import DIGEST
from patchkit.watch.tick import NewRelease, Tick

LIMIT = 60_000
"""Characters of an issue's text: GitHub takes 65,536."""
MARK = "<!-- patchkit watch:"
"""Before the runtime's name: by it the issue is found again."""
SIGNS = {"green": "✓", "attention": "✗", "unfinished": "?"}
OUTCOMES = {"proven": "✓", "doubtful": "?", "red": "✗", "unproven": "?", "refused": "✗"}
HEAD = ("vLLM", "released", "silent", "loud", "look", "harmless", "unpatched", "outcome", "why")


def render(tick: Tick) -> str:
    """The whole report; sections that would make it too long for an issue are only counted."""
    text, left = "\n".join(_head(tick)) + "\n", 0
    for section in _sections(tick):
        if len(text) + len(section) > LIMIT:
            left += 1
        else:
            text += f"\n{section}"
    return text + (f"\n{left} more sections are too long for this place; see `report.json`.\n" if left else "")


def _head(tick: Tick) -> Iterator[str]:
    yield f"{MARK} {tick.runtime} -->"
    yield f"{DIGEST} {tick.digest} -->"
    yield f"## {SIGNS[tick.state]} {escaped(tick.title)}"
    yield ""
    dry = " This was a dry run: nothing was built, gated or changed." if tick.dry else ""
    yield f"**{escaped(tick.verdict[:1].upper() + tick.verdict[1:])}.**{dry}"
    if tick.asked:
        yield ""
        asked = tick.asked[:16].replace("T", " ")
        pin = f"{tick.runtime} `{tick.pin[:12]}`"
        yield f"{pin}, last proven on vLLM {tick.last_proven}; the index was asked on {asked} UTC."
    if tick.news:
        yield from markdown.table(HEAD, map(_row, tick.news))


def _row(one: NewRelease) -> tuple[str, ...]:
    counts = [one.drift.counts[severity] for severity in ("silent", "loud", "look", "harmless")] if one.drift else []
    cells = [str(count or "·") for count in counts] or ["?"] * 4
    unpatched = str(len(one.unpatched) or "·") if one.drift else "?"
    outcome = f"{OUTCOMES[one.outcome]} {one.outcome}" if one.outcome else "? not come to"
    return one.release, one.uploaded or "", *cells, unpatched, outcome, one.why


def _sections(tick: Tick) -> Iterator[str]:
    """Gates that are red first, then what changed: that of releases with unpatched breaks before the others."""
    judged = [found for one in tick.news for found in one.judged]
    for found in judged:
        if not found.passed:
            yield markdown.render(found)
    broken = [one for one in tick.news if one.drift and one.drift.breaks]
    for one in sorted(broken, key=lambda each: not each.unpatched):
        yield drifts.render([one.drift] if one.drift else [])
    quiet = [one.release for one in tick.news if one.drift and not one.drift.breaks]
    if quiet:
        yield f"Nothing that the runtime uses changed in {joined(quiet)}.\n"
    for found in judged:
        if found.passed:
            yield markdown.render(found)
