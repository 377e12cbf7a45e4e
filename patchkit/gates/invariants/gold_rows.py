"""The captured rows are the layers' own rows: all of them, at every step."""

from __future__ import annotations

from collections.abc import Iterator

from patchkit.gates.events import Gold, count
from patchkit.gates.invariants.base import Broken, Figures, Params, invariant
from patchkit.gates.run import Run


@invariant(watch="gold")
def gold_rows(run: Run, params: Params, figures: Figures) -> Iterator[Broken]:
    """At every step as many rows are compared as there are decode rows, and none differs."""
    if not run.decoding:
        yield Broken("no decode step with the runtime was seen")
        return
    figures["gold_rows"] = sum(step.gold.compared for step in run.patched if step.gold)
    for step in run.patched:
        rows, gold = step.shape.decode_rows, step.gold
        if gold is None:
            if rows:
                yield Broken.at(step, "nothing to compare the captured rows with")
                return
        elif gold.mismatched:
            what = f"{gold.mismatched} of {count(rows, 'captured row')} not the layer's own{first(gold)}"
            yield Broken.at(step, what)
            return
        elif gold.compared != rows:
            yield Broken.at(step, f"{count(gold.compared, 'row')} captured, {count(rows, 'decode row')} to capture")
            return


def first(gold: Gold) -> str:
    """The first row that differs."""
    if not gold.first_mismatch:
        return ""
    row, tap, difference = (gold.first_mismatch.get(key) for key in ("row", "tap", "difference"))
    by = f" by {difference:.3g}" if isinstance(difference, float | int) else ""
    return f" (row {row}, {tap} tap{by})"
