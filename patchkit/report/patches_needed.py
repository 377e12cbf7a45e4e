"""Whether a release needs each patch, from a knock-out: needed, no longer needed, harmful, unknown or not taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from patchkit.gates.evidence import Evidence, Knockout
from patchkit.report import tables

ORDER = ("harmful", "no longer needed", "unknown", "needed", "not taken")
STYLES = {"harmful": "bold red", "no longer needed": "yellow", "unknown": "yellow", "needed": "green"}


class PatchNeed(NamedTuple):
    """One patch: its state, why, and what to do about its header."""

    state: str
    patch: str
    why: str
    advice: str = ""


def rows(evidence: Evidence) -> list[PatchNeed]:
    """Every patch of the series, those that need action first; none for evidence that does not record it."""
    found = [
        PatchNeed(knocked.need, name(knocked), knocked.need_why, advice(knocked)) for knocked in evidence.knockouts
    ]
    found += [PatchNeed("not taken", patch, why) for patch, why in evidence.not_taken.items()]
    return sorted((row for row in found if row.state), key=lambda row: ORDER.index(row.state))


def sentence(evidence: Evidence) -> Iterator[str]:
    """``6 needed, 1 no longer needed: 0005, 1 harmful: 0004``; nothing for evidence that does not record it."""
    parts = []
    for state in reversed(ORDER[:-1]):
        alike = [knocked.patch.partition("-")[0] for knocked in evidence.knockouts if knocked.need == state]
        if alike:
            parts.append(f"{len(alike)} {state}" + ("" if state == "needed" else f" ({', '.join(alike)})"))
    if parts:
        yield ", ".join(parts)


def name(knocked: Knockout) -> str:
    return f"{knocked.patch} and {', '.join(knocked.left_with)}" if knocked.left_with else knocked.patch


def advice(knocked: Knockout) -> str:
    """How the patch's header should change; empty if it should not."""
    if knocked.narrowed is None:
        return ""
    if not knocked.narrowed:
        return f"drop it: `Applies-To: {knocked.applies_to}` takes no release that is known to need it"
    return f"narrow `Applies-To: {knocked.applies_to}` to `{knocked.narrowed}`, or drop the patch"


def show_needs(evidence: Evidence, console: Console) -> None:
    """For a terminal: a row a patch, the patches that are needed in one line."""
    found = rows(evidence)
    if not found:
        return
    table = tables.plain("need", "patch, and why", whole=["need"])
    for row in found:
        if row.state != "needed":
            table.add_row(Text(row.state, STYLES.get(row.state, "dim")), Text(f"{row.patch}: {row.why}"))
            if row.advice:
                table.add_row("", Text(row.advice, "yellow"))
    needed = [row.patch.partition("-")[0] for row in found if row.state == "needed"]
    if needed:
        table.add_row(Text("needed", STYLES["needed"]), ", ".join(needed))
    console.print()
    console.print(Text(f"on vLLM {evidence.release}:"))
    tables.show(table, console)
