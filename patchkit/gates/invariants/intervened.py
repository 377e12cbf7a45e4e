"""Every decode row draws from intervened logits, and no other row does."""

from __future__ import annotations

from collections.abc import Iterator

from patchkit.gates.invariants.base import Broken, Figures, Params, invariant
from patchkit.gates.run import Run

KINDS = ("exact", "exact_greedy", "exact_tempered", "exact_beside_prefill", "untouched")


class Intervened(Params, frozen=True):
    """The least number of rows of each kind that must have been compared.

    ``exact``: rows whose logits the worker knows, those of a prompt that decodes for the first time; some of them are
    ``exact_greedy``, ``exact_tempered`` (temperature not 1), ``exact_beside_prefill``. ``untouched``: rows that do not
    decode.
    """

    exact: int = 1
    exact_greedy: int = 0
    exact_tempered: int = 0
    exact_beside_prefill: int = 0
    untouched: int = 0

    def __post_init__(self) -> None:
        self.at_least(1, "exact")
        self.at_least(0, *KINDS[1:])


@invariant(params=Intervened, watch="intervention")
def intervened(run: Run, params: Intervened, figures: Figures) -> Iterator[Broken]:
    """The logits drawn from are the worker's own where it knows them, moved where it does not, else untouched."""
    totals = dict.fromkeys(KINDS, 0)
    for step in run.patched:
        found = step.intervention
        if step.shape.decode_rows and found is None:
            yield Broken.at(step, "the step's sampling was not seen")
            return
        if found is None:
            continue
        if found.first_wrong is not None:
            wrong = found.first_wrong
            by = f", off by {wrong['difference']:.3g}" if wrong.get("difference") is not None else ""
            yield Broken.at(step, f"row {wrong.get('row')}: {wrong.get('what')}{by}")
            return
        for kind in KINDS:
            totals[kind] += getattr(found, kind)
    figures["exact_logit_rows"] = totals["exact"]
    for kind in KINDS:
        if totals[kind] < getattr(params, kind):
            yield Broken(f"{totals[kind]} {kind} rows compared, this scenario needs at least {getattr(params, kind)}")
