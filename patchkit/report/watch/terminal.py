"""A tick for a terminal: what changed, release by release, then the outcome of each, then the verdict."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from rich.text import Text

from patchkit import console
from patchkit.console import out
from patchkit.files import shortest
from patchkit.report.drift.terminal import show_timeline
from patchkit.watch.tick import NewRelease, Tick

COLOURS = {"proven": "green", "doubtful": "yellow", "red": "bold red", "unproven": "yellow", "refused": "red"}


def show(tick: Tick, report: Path) -> None:
    out.print(
        Text.assemble(("watch", "bold"), f"  {tick.runtime} {tick.pin[:12]}, proven up to vLLM {tick.last_proven}")
    )
    if tick.news:
        out.print()
        show_timeline([one.drift for one in tick.news if one.drift])
        out.print()
    for (outcome, why), alike in groupby(tick.news, key=lambda one: (one.outcome or "", one.why)):
        out.print(_line(outcome, why, list(alike)))
    out.print(console.tick(tick.state == "green").append(tick.verdict, "bold").append(f"  {shortest(report)}", "dim"))


def _line(outcome: str, why: str, alike: list[NewRelease]) -> Text:
    """Releases in a row that share an outcome share a line: ``0.21.0 … 0.33.0``."""
    names = [one.release for one in alike]
    span = " … ".join(names if len(names) < 3 else (names[0], names[-1]))
    return Text.assemble((f"{span:<20} ", "bold"), (f"{outcome:<9}", COLOURS.get(outcome, "")), f" {why}")
