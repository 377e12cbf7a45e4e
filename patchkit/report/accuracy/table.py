"""The matrix alone, as a Markdown table that can stand in a README: a line for every mode of every cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from patchkit.bench.accuracy_evidence import AccuracyEvidence
from patchkit.evals.records import Outcome
from patchkit.report.accuracy import numbers, phrases, verdict, view
from patchkit.report.accuracy.view import Comparison
from patchkit.report.markdown import escaped, row

EVENTFUL: tuple[Outcome, ...] = ("token and trajectory headroom", "trajectory headroom only", "harmful")

Column = tuple[str, Callable[[Comparison], str]]


def render_table(evidence: AccuracyEvidence) -> str:
    """Rates in %, with the 95% interval of the difference; breadth is the share of distinct answers in %.

    Models and modes have a column where there are several. So has every figure that a verdict needs of the runtime's
    probe: the worst of all processes.
    """
    evidence = view.printable(evidence)
    rows = view.comparisons(evidence)
    columns = list(_columns(evidence, rows))
    lines = [row((name for name, _ in columns), escape=False), row(["---"] * len(columns), escape=False)]
    lines += [row((show(one) for _, show in columns), escape=False) for one in rows]
    return "\n".join(lines) + "\n"


def _columns(evidence: AccuracyEvidence, rows: list[Comparison]) -> Iterator[Column]:
    """A heading, and what stands below it; already escaped."""
    models = view.short_models(evidence)
    if len(models) > 1:
        yield "model", lambda one: escaped(models[one.cell.model])
    yield "task", lambda one: escaped(one.cell.task)
    if len({one.mode for one in rows}) > 1:
        yield "mode", lambda one: escaped(one.mode)
    yield "pass@1", lambda one: _rate(one, 1)
    yield verdict.best(rows), lambda one: _rate(one, one.cell.n)
    yield "breadth", _breadth
    for name in dict.fromkeys(seen.wanted.figure for one in rows for seen in one.seen):
        yield escaped(name), lambda one, name=name: _figure(one, name)  # type: ignore[misc]
    yield (
        "outcome",
        lambda one: _outcome(one),
    )
    yield "advice", lambda one: one.judgement.advice if one.judgement else ""


def _outcome(one: Comparison) -> str:
    if one.outcome in EVENTFUL:
        return f"**{one.outcome}**"
    return one.outcome if one.judgement else phrases.ONE_LEFT


def _rate(one: Comparison, k: int) -> str:
    """``94.3 → 98.1 (+1.1 to +6.4)``."""
    change, rate = one.change(k), one.rate(k)
    if change is not None:
        return f"{100 * change.before:.1f} → {100 * change.after:.1f} ({numbers.span(change.low, change.high)})"
    return "not measured" if rate is None else f"{100 * rate.value:.1f}"


def _breadth(one: Comparison) -> str:
    """``55 → 37``."""
    shares = [view.spread(one.cell, mode, view.answers) for mode in one.modes]
    return " → ".join("none" if share is None else f"{100 * share:.0f}" for share in shares)


def _figure(one: Comparison, name: str) -> str:
    return next((numbers.worst(seen) for seen in one.seen if seen.wanted.figure == name), "not asked for")
