"""Use it, skip it, or consider it: derived from the outcome; see docs/statistics.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from patchkit.evals.number_format import points
from patchkit.evals.outcome import describe
from patchkit.evals.probe_figures import shown
from patchkit.evals.records import BASELINE, Cell, Change, FigureSeen, Outcome
from patchkit.plural import counted

Advice = Literal["use it", "skip it", "consider it"]

WORTH = 0.05  # a gain, or a possible gain, below this is not worth having
SAMPLES = 4  # fewer are not much of a search
VERIFIER = "pass@k is worth something only where something picks the right sample: a verifier, a test, a vote"


def advise(
    cell: Cell, mode: str, outcome: Outcome, changes: list[Change], seen: Sequence[FigureSeen] = ()
) -> tuple[Advice, list[str]]:
    """The advice, and what it rests on.

    A figure of the runtime's probe that was not met does not change the advice, which is on the run as it was; it is
    the first reason, since it qualifies the run.
    """
    advice, reason = _advice(outcome, changes, _fluent(cell))
    unmet = [f"{one.wanted.otherwise.strip().rstrip('.')} ({shown(one)})" for one in seen if not one.met]
    met = [f"{one.wanted.means}: {shown(one)}" for one in seen if one.met]
    return advice, [*unmet, reason, *met, *_grounds(cell, mode, outcome, changes)]


def _advice(outcome: Outcome, changes: list[Change], fluent: bool) -> tuple[Advice, str]:
    if outcome == "token and trajectory headroom":
        return "use it", f"both rates rise: {describe(changes[0])}"
    if outcome == "trajectory headroom only":
        return "consider it", f"it pays with a verifier and {SAMPLES} or more samples a problem, and not without"
    if outcome == "harmful":
        return "skip it", "it makes things worse"
    if outcome == "saturated" and changes[0].direction > 0:
        return "consider it", "one sample does better; more have hardly anything left to gain"
    if outcome == "saturated":
        return "skip it", "there is hardly anything left to gain"
    return _unresolved(changes, fluent)


def _unresolved(changes: list[Change], fluent: bool) -> tuple[Advice, str]:
    ends = (changes[0], changes[-1])
    solves, gain = ends[1].before, max(change.high for change in ends)
    if not fluent:
        return "skip it", "most baseline samples are cut off or give no answer: fix that first, and measure again"
    if changes[0].direction > 0:
        return "consider it", "pass@1 rises, but whether a search pays is open: measure more"
    if solves < WORTH:
        return "skip it", f"the model solves {100 * solves:.1f}% in n samples: there is little to find at any breadth"
    if solves > 1 - WORTH:
        return "skip it", f"the model solves {100 * solves:.1f}% in n samples: there is hardly anything left to gain"
    if gain < WORTH:
        return "skip it", f"a gain of more than {points(gain).removeprefix('+')} points is unlikely"
    return "consider it", f"a gain of up to {100 * gain:.1f} points is not excluded, and neither is none: measure more"


def _fluent(cell: Cell) -> bool:
    cut, answered = cell.truncated(BASELINE), _answered(cell)
    return (cut is None or cut <= 0.5) and (answered is None or answered >= 0.5)


def _grounds(cell: Cell, mode: str, outcome: Outcome, changes: list[Change]) -> Iterator[str]:
    cut, answered, base = cell.truncated(BASELINE), _answered(cell), changes[0].before
    said = [f"baseline pass@1 is {100 * base:.1f}%"]
    if cut is not None:
        said.append(f"max_tokens cut off {cut:.0%} of its samples")
    if answered is not None:
        said.append(f"{answered:.0%} of problems got an answer")
    yield f"the model is {'' if _fluent(cell) and base >= WORTH else 'not '}fluent here: {', '.join(said)}"
    if outcome not in ("harmful", "saturated"):
        yield VERIFIER
    if cell.n < SAMPLES:
        yield f"n = {cell.n} is too few to show what breadth buys: {SAMPLES} or more"
    speed = cell.throughput.get(mode)
    if speed:
        pairs = counted(speed.pairs, "pair")
        yield f"its tokens/s are {speed.ratio:.2f} x the baseline's ({speed.low:.2f} to {speed.high:.2f}, {pairs})"


def _answered(cell: Cell) -> float | None:
    """Share of problems, over the baseline's trials, that got an answer at all; None if that was not recorded."""
    shares = [share for trial in cell.modes[BASELINE] for share in trial.answers]
    return sum(share is not None for share in shares) / len(shares) if shares else None
