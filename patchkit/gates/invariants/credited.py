"""Every captured row is credited to the prompt and the sample it came from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from patchkit.gates.events import Step, count
from patchkit.gates.invariants.base import Broken, Figures, Params, invariant
from patchkit.gates.run import Run


@invariant(watch="gold")
def credited(run: Run, params: Params, figures: Figures) -> Iterator[Broken]:
    """No row belongs to no request, none to the wrong one, and rows were there to tell by."""
    figures["credited_rows"] = sum(step.gold.compared for step in run.decoding if step.gold)
    if not figures["credited_rows"] and not any(step.of("unmapped_rows") for step in run.decoding):
        yield Broken(f"no row was credited to anyone over {count(len(run.decoding), 'decode step')}")
        return
    for step in run.decoding:
        what = wrong(step)
        if what:
            yield Broken.at(step, what)
            return


def wrong(step: Step) -> str:
    """What is wrong with the credits of one step, or nothing."""
    if step.of("unmapped_rows"):
        return unmapped(step)
    if step.gold is None:
        return "no gold to tell whose the rows are"
    if step.gold.miscredited:
        first = step.gold.first_miscredit or {}
        which = f"row {first.get('row')}: {whose(first.get('found'))}, not {whose(first.get('expected'))}"
        return f"{count(step.gold.miscredited, 'row')} credited to the wrong request ({which})"
    return ""


def unmapped(step: Step) -> str:
    """``8 decode rows belong to no request``."""
    rows = step.of("unmapped_rows")
    return f"{count(rows, 'decode row')} {'belongs' if rows == 1 else 'belong'} to no request"


def whose(credit: Any) -> str:
    """``prompt 1 sample 0``."""
    if isinstance(credit, list | tuple) and len(credit) == 2:
        return f"prompt {credit[0]} sample {credit[1]}"
    return "nobody's" if credit is None else str(credit)
