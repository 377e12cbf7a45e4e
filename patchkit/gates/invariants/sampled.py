"""Every token is the one that was drawn for its row, among the tokens that vLLM's own filters keep."""

from __future__ import annotations

from collections.abc import Iterator

from patchkit.gates.events import Step
from patchkit.gates.invariants.base import Broken, Figures, Params, count_clause, invariant
from patchkit.gates.part_run import Run

KINDS = ("greedy", "drawn", "lone")


class SampledParams(Params, frozen=True):
    """The least number of rows of each kind that must have been seen.

    ``greedy``: rows that take their highest logit; ``drawn``: rows with a random token; ``lone``: rows that had only
    one token left to choose.
    """

    greedy: int = 0
    drawn: int = 0
    lone: int = 0

    def __post_init__(self) -> None:
        self.at_least(0, *KINDS)


@invariant(params=SampledParams, clauses=(count_clause(54, "sampled_rows", "{} rows got the token drawn for them"),))
def sampled(run: Run, params: SampledParams, figures: Figures) -> Iterator[Broken]:
    """A random row has the token that vLLM's sampler drew for it, a greedy one its highest logit; with the runtime
    off, from exactly the logits that plain vLLM would draw from.
    """
    totals = dict.fromkeys(KINDS, 0)
    for step in run.patched:
        what = wrong(step)
        if what:
            yield Broken.at(step, what)
            return
        for kind in KINDS:
            totals[kind] += getattr(step.sampling, kind, 0)
    figures["sampled_rows"] = totals["greedy"] + totals["drawn"]
    if not figures["sampled_rows"]:
        yield Broken("no row was seen to be sampled")
    for kind in KINDS:
        if totals[kind] < getattr(params, kind):
            yield Broken(f"{totals[kind]} {kind} rows sampled, this scenario needs at least {getattr(params, kind)}")


def wrong(step: Step) -> str:
    """What is wrong with how one step was sampled, or nothing."""
    if step.sampling is None:
        return "the step's sampling was not seen" if step.shape.decode_rows else ""
    if step.sampling.unlike:
        return f"row {step.sampling.unlike.get('row')}: {step.sampling.unlike.get('what')}"
    if step.sampling.checked < step.shape.decode_rows:
        return f"{step.sampling.checked} rows sampled, fewer than decode"
    return ""
