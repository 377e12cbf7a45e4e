"""Which of five outcomes a cell has; see docs/statistics.md."""

from __future__ import annotations

from patchkit.evals.bootstrap import clopper_pearson
from patchkit.evals.number_format import points
from patchkit.evals.records import Change, Needed, Outcome

CEILING, FLOOR = 0.90, 0.10  # of the baseline's pass@n, by one-sided 95% bounds


def classify(first: int, last: int, n: int, at_ceiling: bool) -> Outcome:
    """From the directions at k = 1 and at k = n."""
    if last < 0 or (first < 0 and last == 0):
        return "harmful"
    if n > 1 and last > 0:
        return "token and trajectory headroom" if first > 0 else "trajectory headroom only"
    return "saturated" if last == 0 and at_ceiling else "not resolved"


def bounds(solved: float, problems: int) -> tuple[float, float]:
    """One-sided 95% bounds, from below and from above, of the share of problems solved in n samples."""
    return clopper_pearson(solved, problems, tail=0.05)


def at_ceiling(solved: float, problems: int) -> bool:
    """Is it known to solve 90% of problems?"""
    return bounds(solved, problems)[0] >= CEILING


def at_floor(solved: float, problems: int) -> bool:
    """Is it known to solve at most 10%?"""
    return bounds(solved, problems)[1] <= FLOOR


def outcome_of(changes: list[Change], needed: list[Needed], problems: int) -> tuple[Outcome, str]:
    """The outcome and the reason for it, with its figures, in one sentence.

    Args:
        changes: for every k from 1 to n.
        needed: for k = 1 and k = n.
        problems: how many there are.
    """
    first, last = changes[0], changes[-1]
    solved = last.before * problems
    outcome = classify(first.direction, last.direction, last.k, at_ceiling(solved, problems) and last.after >= CEILING)
    figures = describe(first) if last.k == 1 else f"{describe(first)}; {describe(last)}"
    if outcome == "not resolved":
        return outcome, f"{_unresolved(first, last, problems)}: {figures}; {_wanting(last, needed[-1])}{_noise(last)}"
    reason = {
        "harmful": "pass@k falls" if last.direction < 0 else "pass@1 falls and pass@k does not rise",
        "token and trajectory headroom": "pass@1 and pass@k both rise",
        "trajectory headroom only": "pass@k rises" + (", at a cost in pass@1" if first.direction < 0 else " alone"),
        "saturated": f"{'pass@1 rises, but' if first.direction > 0 else 'nothing moves, and'} the baseline solves "
        f"{solved:.4g} of {problems} problems, at least {bounds(solved, problems)[0]:.0%}",
    }[outcome]
    return outcome, f"{reason}: {figures}{_noise(last)}"


def describe(change: Change) -> str:
    """A change with its figures, as text."""
    rates = f"pass@{change.k} {100 * change.before:.1f}% to {100 * change.after:.1f}%"
    interval = f"{points(change.low)} to {points(change.high)}"
    return f"{rates}, {points(change.difference)} points ({interval}, p = {change.p:.3g})"


def _unresolved(first: Change, last: Change, problems: int) -> str:
    if first.direction > 0:
        open_ = "one sample a problem cannot show" if last.k == 1 else "it is not resolved"
        return f"pass@1 rises, and {open_} whether pass@k does"
    if at_floor(last.before * problems, problems):
        return "the model hardly solves anything here, and nothing moves for certain"
    if any((one.low > 0 or one.high < 0) and one.p < 0.05 for one in (first, last)):
        return "no change is larger than between two baseline trials"
    return "neither change is distinguishable from chance"


def _wanting(change: Change, needed: Needed) -> str:
    design = f"this design resolves {100 * needed.resolvable:.0f} points of pass@{change.k}"
    return f"{design}, and {needed.problems:,} problems would resolve what was measured" if needed.problems else design


def _noise(change: Change) -> str:
    if change.noise is None:
        return "; the noise between two baseline runs was not measured: --trials 2 or more"
    return f"; two baseline trials differ by up to {100 * change.noise:.1f} points of pass@{change.k}"
