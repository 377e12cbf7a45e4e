"""What follows from a published table without the counts of each problem.

Of rates, only the net change is known. At most it means that whatever moved moved the same way, which gives the best p
there can be; if that is not small, no count of each problem would make it so.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
from published_table import Pair, Published, PublishedCell

from patchkit.evals.bootstrap import difference_intervals
from patchkit.evals.number_format import MINUS
from patchkit.evals.outcome import CEILING, at_ceiling, bounds, classify, describe
from patchkit.evals.paired import ALPHA, direction, mcnemar
from patchkit.evals.records import Change, Outcome


class PublishedVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What can be said of one cell. Without its figures, only that.

    Attributes:
        why: what the outcome rests on, in one sentence.
        best_1, best_n: the best p that pass@1 and pass@n can have, whoever moved.
        change: of pass@n; None unless it is known who moved.
        at_best: 95% interval of pass@n's difference, if all that moved moved the same way.
    """

    cell: PublishedCell
    outcome: Outcome
    why: str
    best_1: float | None = None
    best_n: float | None = None
    change: Change | None = None
    at_best: tuple[float, float] | None = None


def verdicts(published: Published) -> list[PublishedVerdict]:
    """A verdict for every cell."""
    return [verdict(cell, published.n) for cell in published.cells]


def verdict(cell: PublishedCell, n: int) -> PublishedVerdict:
    """Resolved is only what is known of each problem; pass@1 is therefore never resolved."""
    if cell.pass_1 is None or cell.pass_n is None:
        return PublishedVerdict(cell=cell, outcome="not resolved", why="figures not recovered")
    before, after = cell.pass_n.of(cell.problems)
    net, samples = after - before, _net_samples(cell.pass_1, cell, n)
    # whoever gained is solved afterwards, and whoever fell was solved before: the net is spread over no more than those
    best_1, best_n = mcnemar(min(abs(samples), after if samples > 0 else before), 0), mcnemar(abs(net), 0)
    change = _change(cell, n, before, after)
    still = best_1 >= ALPHA and (change is not None or best_n >= ALPHA)  # no counts would show that anything moved
    return PublishedVerdict(
        cell=cell,
        outcome=classify(0, change.direction if change else 0, n, still and at_ceiling(before, cell.problems)),
        why="; ".join(_why(cell, n, before, (net, best_n), (samples, best_1), change)),
        best_1=best_1,
        best_n=best_n,
        change=change,
        at_best=_interval(max(net, 0), max(-net, 0), cell.problems),
    )


def _net_samples(pass_1: Pair, cell: PublishedCell, n: int) -> int:
    before, after = pass_1.of(cell.problems * n)
    return after - before


def _change(cell: PublishedCell, n: int, before: int, after: int) -> Change | None:
    if cell.gained is None or cell.lost is None:
        return None
    low, high = _interval(cell.gained, cell.lost, cell.problems)
    old, new, p = before / cell.problems, after / cell.problems, mcnemar(cell.gained, cell.lost)
    change = Change(k=n, before=old, after=new, difference=new - old, low=low, high=high, p=p)
    return msgspec.structs.replace(change, direction=direction(change))


def _interval(gained: int, lost: int, problems: int) -> tuple[float, float]:
    moved = [1.0] * gained + [-1.0] * lost
    return difference_intervals(np.array([moved + [0.0] * (problems - len(moved))]))[0]


def _why(
    cell: PublishedCell, n: int, before: int, any_: tuple[int, float], one: tuple[int, float], change: Change | None
) -> Iterator[str]:
    if change:
        yield f"{describe(change)}: {cell.gained} problems gained, {cell.lost} lost"
    else:
        yield f"pass@{n} moved by a net {_signed(any_[0])} of {cell.problems} problems, at best p = {any_[1]:.3g}"
    yield f"pass@1 moved by a net {_signed(one[0])} of {cell.problems * n:,} samples, at best p = {one[1]:.3g}"
    if one[1] < ALPHA:
        yield "that best case is all that speaks for it, and only unpublished counts of each problem could tell"
    solves, least = f"{before} of {cell.problems}", bounds(before, cell.problems)[0]
    yield f"the baseline solves {solves}, at least {least:.0%}, where saturated asks for {CEILING:.0%}"


def _signed(net: int) -> str:
    return f"{net:+d}".replace("-", MINUS)
