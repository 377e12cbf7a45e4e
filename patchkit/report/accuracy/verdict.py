"""The verdict on all cells, in a sentence or two: the first thing that is read, and often the last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from patchkit.bench.accuracy_evidence import AccuracyEvidence, unobserved
from patchkit.evals.records import FigureSeen
from patchkit.plural import all_of, any_of, counted, joined
from patchkit.report.accuracy.view import Comparison, comparisons, ends, short_models

Whole = Callable[[int, str], str]
"""What to call all cells of a mode."""
ORDER = ("token and trajectory headroom", "trajectory headroom only", "harmful", "saturated", "not resolved")
EFFECTS = ("better", "worse", "no difference shown")
NOT_OBSERVED = (
    "the server did not tell the runtime's counters over the whole draw, so the runtime was not observed. "
    "This compares what was asked for, and does not show that the runtime acted."
)
NOT_SHOWN = "is not shown to help or harm"
MOST_NAMES = 3  # cells that are called by their names; more are counted


def verdict(evidence: AccuracyEvidence) -> str:
    """What the outcomes mean, in a sentence for each mode."""
    if not evidence.cells:
        return "Nothing was measured."
    sentences = [_sentence(mode, rows, short_models(evidence)) for mode, rows in _by_mode(evidence)]
    if not sentences:
        return "Nothing was compared: the baseline alone was measured."
    unseen = unobserved(evidence)
    return " ".join([*sentences, f"The runtime was not observed in {joined(unseen)}."] if unseen else sentences)


def beyond_headline(evidence: AccuracyEvidence) -> str:
    """The verdict without what the headline says of modes that show nothing; empty if that is all."""
    said = [
        _sentence(mode, rows, short_models(evidence))
        for mode, rows in _by_mode(evidence)
        if any(_effect(row, best(rows)) != NOT_SHOWN for row in rows)
    ]
    unseen = unobserved(evidence)
    return " ".join([*said, *([f"The runtime was not observed in {joined(unseen)}."] if unseen else [])])


def headline(evidence: AccuracyEvidence) -> str:
    """The verdict in one line: for each mode, on how many tasks it is better, worse, or not shown to be either."""
    parts = [_counts(mode, rows) for mode, rows in _by_mode(evidence)]
    if not parts:
        return "Nothing was compared" if evidence.cells else "Nothing was measured"
    return "; ".join(parts)


def _counts(mode: str, rows: list[Comparison]) -> str:
    """``MODE better on 2, no difference shown on 3 of 5 tasks``."""
    kind = "task" if len({row.cell.model for row in rows}) == 1 else "cell"
    found = Counter(_kind_of_effect(row) for row in rows)
    if len(rows) == 1:
        return f"{mode}: {next(iter(found))} on {rows[0].cell.task}"
    if len(found) == 1:
        return f"{mode}: {next(iter(found))} on {all_of(len(rows), kind)}"
    each = ", ".join(f"{what} on {found[what]}" for what in EFFECTS if found[what])
    return f"{mode}: {each} of {counted(len(rows), kind)}"


def _kind_of_effect(row: Comparison) -> str:
    """Worse is what the outcome calls harmful; better is any rate that is shown to rise."""
    changes = [change for k in ends(row.cell.n) if (change := row.change(k))]
    if row.outcome == "harmful":
        return "worse"
    return "better" if any(change.direction > 0 for change in changes) else "no difference shown"


def advice(evidence: AccuracyEvidence) -> list[str]:
    """What to do, in a sentence for each mode."""
    sentences = []
    for mode, rows in _by_mode(evidence):
        parts = []
        for what in ("use it", "consider it", "skip it"):
            found = [row for row in rows if row.judgement and row.judgement.advice == what]
            if found:
                where = f" on {_listed(found, rows, short_models(evidence), all_of)}" if len(rows) > 1 else ""
                parts.append(f"{what}{where}")
        sentences.append(f"{mode}: {'; '.join(parts)}.")
    return sentences


def doubts(evidence: AccuracyEvidence) -> list[str]:
    """What a verdict would need and was not seen, a line for each mode and each sentence.

    A runtime that a server runs without its counters, and figures of the runtime's probe.
    """
    sentences = [f"{mode}: {NOT_OBSERVED}" for mode in unobserved(evidence)]
    for mode, rows in _by_mode(evidence):
        found: dict[str, list[Comparison]] = {}
        for row in rows:
            for doubt in dict.fromkeys(map(_doubt, row.unmet)):
                found.setdefault(doubt, []).append(row)
        for doubt, where in found.items():
            cells = f" on {_listed(where, rows, short_models(evidence), all_of)}" if len(rows) > 1 else ""
            sentences.append(f"{mode}{cells}: {doubt}.")
    return sentences


def _doubt(seen: FigureSeen) -> str:
    otherwise = seen.wanted.otherwise.strip().rstrip(".")
    return (
        f"{seen.wanted.figure} is not known, and what is not known is not met. {otherwise}"
        if seen.unknown
        else otherwise
    )


def resolution(evidence: AccuracyEvidence) -> str:
    """The smallest differences that the cells resolve, as a range over the cells."""
    judged = [row for row in comparisons(evidence) if row.judgement]
    seen: dict[str, list[float]] = {}
    for row in judged:
        for one in row.judgement.needed if row.judgement else []:
            seen.setdefault("pass@1" if one.k == 1 else best(judged), []).append(100 * one.resolvable)
    sentences = []
    for rate, sizes in seen.items():
        low, high = f"{min(sizes):.1f}", f"{max(sizes):.1f}"
        sentences.append(f"{low if low == high else f'{low} to {high}'} points of {rate}")
    cells = ", by cell" if len(judged) > 1 else ""
    return f"The smallest difference that this run resolves{cells}: {joined(sentences)}." if sentences else ""


def multiple_comparisons(evidence: AccuracyEvidence) -> str:
    """How many differences were tested, and how many would appear resolved if nothing had changed."""
    from patchkit.evals.analysis import expected_false  # scipy is behind it

    judgements = [row.judgement for row in comparisons(evidence) if row.judgement]
    tested = [change for row in comparisons(evidence) for k in ends(row.cell.n) if (change := row.change(k))]
    if not tested:
        return ""
    resolved = sum(change.direction != 0 for change in tested)
    return (
        f"{counted(len(tested), 'difference')} tested: pass@1 and pass@n, in every cell. {resolved} resolved. "
        f"If nothing had changed anywhere, up to {expected_false(judgements):.1f} would appear so. "
        "No figure is corrected for that."
    )


def best(rows: Sequence[Comparison]) -> str:
    """``pass@16``, or ``pass@n`` where not all have the same n."""
    sizes = {row.cell.n for row in rows}
    return f"pass@{sizes.pop()}" if len(sizes) == 1 else "pass@n"


def _by_mode(evidence: AccuracyEvidence) -> Iterator[tuple[str, list[Comparison]]]:
    judged = [row for row in comparisons(evidence) if row.judgement]
    for mode in dict.fromkeys(row.mode for row in judged):
        yield mode, [row for row in judged if row.mode == mode]


def _sentence(mode: str, rows: list[Comparison], models: dict[str, str]) -> str:
    if len(rows) == 1:
        return f"{models[rows[0].cell.model]} on {rows[0].cell.task}: {mode} {_effect(rows[0], best(rows))}."
    effects: dict[str, list[Comparison]] = {}
    for row in sorted(rows, key=lambda row: ORDER.index(row.outcome)):
        effects.setdefault(_effect(row, best(rows)), []).append(row)
    sentences = [
        f"{effect} on {_listed(found, rows, models, any_of if ' not ' in effect or ' no ' in effect else all_of)}"
        for effect, found in effects.items()
    ]
    shared = list(dict.fromkeys(row.cell.model for row in rows))
    return (
        f"{models[shared[0]] if len(shared) == 1 else counted(len(shared), 'model')}: {mode} {'; it '.join(sentences)}."
    )


def _effect(row: Comparison, last: str) -> str:
    """What a mode does to a cell, as a predicate of its name."""
    first_change, last_change = row.change(1), row.change(row.cell.n)
    first = first_change.direction if first_change else 0
    if row.outcome == "token and trajectory headroom":
        return f"raises pass@1 and {last}"
    if row.outcome == "trajectory headroom only":
        return f"raises {last} at a cost in pass@1" if first < 0 else f"raises {last} alone"
    if row.outcome == "harmful":
        falls = last_change is not None and last_change.direction < 0 and row.cell.n > 1
        return f"lowers {joined([rate for rate, fell in (('pass@1', first < 0), (last, falls)) if fell] or ['a rate'])}"
    if row.outcome == "saturated":
        return f"raises pass@1, with no room in {last}," if first > 0 else "has no room to help"
    return f"raises pass@1, and {last} is open," if first > 0 else NOT_SHOWN


def _listed(found: list[Comparison], rows: list[Comparison], models: dict[str, str], whole: Whole) -> str:
    one_model = len({row.cell.model for row in rows}) == 1
    kind = "task" if one_model else "cell"
    if len(found) == len(rows):
        return whole(len(rows), kind)
    if len(found) > MOST_NAMES:
        return f"{len(found)} of {counted(len(rows), kind)}"
    return joined([row.cell.task if one_model else f"{row.cell.task} ({models[row.cell.model]})" for row in found])
