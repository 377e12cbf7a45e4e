"""For a job summary or a README: the page's content as tables."""

from __future__ import annotations

import html
from collections.abc import Iterator

from patchkit.bench.accuracy_evidence import AccuracyEvidence
from patchkit.evals.records import BASELINE
from patchkit.report.accuracy import numbers, phrases, verdict, view
from patchkit.report.accuracy.view import Comparison
from patchkit.report.markdown import escaped, folded, table
from patchkit.report.phrases import number


def render_markdown(evidence: AccuracyEvidence) -> str:
    """The whole report, one heading deep."""
    return "\n".join(_lines(view.printable(evidence))) + "\n"


def _lines(evidence: AccuracyEvidence) -> Iterator[str]:
    """Unproven or not, the verdict, the matrix; then each cell and the circumstances below a fold."""
    rows = view.comparisons(evidence)
    if evidence.unproven:
        yield f"> ⚠️ **Unproven.** {escaped(phrases.unproven(evidence))}"
        yield ""
    if ungraded := phrases.ungraded(evidence):
        yield f"> ⚠️ **Not graded.** {escaped(ungraded)}"
        yield ""
    yield f"## {escaped(verdict.verdict(evidence))}"
    yield ""
    yield escaped(f"pass@k: {phrases.subject(evidence)}")
    for line in (*verdict.advice(evidence), verdict.resolution(evidence)):
        if line:
            yield f"- {escaped(line)}"
    for doubt in verdict.doubts(evidence):
        yield f"- ⚠️ {escaped(doubt)}"
    if rows:
        head = (
            "model",
            "task",
            "mode",
            "outcome",
            "advice",
            "pass@1",
            "",
            verdict.best(rows),
            "",
            "gained, lost",
            "tokens/s",
        )
        yield from table(head, (_matrix_row(evidence, row) for row in rows))
    for row in rows:
        yield from folded(html.escape(phrases.title(evidence, row)), _cell(evidence, row))
    yield from folded("How far to trust it", _trust(evidence))
    yield from folded("How it came about", _circumstances(evidence))


def _matrix_row(evidence: AccuracyEvidence, row: Comparison) -> Iterator[str]:
    judgement = row.judgement
    yield view.short_models(evidence)[row.cell.model]
    yield row.cell.task
    yield row.mode
    yield f"{phrases.OUTCOMES[row.outcome][0]} {row.outcome}" if judgement else phrases.ONE_LEFT
    yield "; ".join([judgement.advice, *(f"⚠ {numbers.figure(one)}" for one in row.unmet)]) if judgement else ""
    for k in (1, row.cell.n):
        change = row.change(k)
        yield (
            f"{numbers.percent(change.before)} → {numbers.percent(change.after)}"
            if change
            else numbers.rate(row.rate(k))
        )
        yield numbers.difference(change) if change else ""
    yield ", ".join(numbers.moves(judgement.solved)) if judgement else ""
    yield numbers.ratio(row.throughput) if judgement else ""


def _cell(evidence: AccuracyEvidence, row: Comparison) -> Iterator[str]:
    lines = [row.cell.about, phrases.own_settings(evidence, row)]
    judgement = row.judgement
    if judgement:
        lines += [judgement.why, *judgement.because, *(phrases.needed(row, one) for one in judgement.needed)]
    yield ""
    yield from (f"- {escaped(line)}" for line in lines if line)
    yield from _rates(row)
    if judgement:
        solved = (
            (
                str(one.trial + 1),
                str(one.before),
                str(one.after),
                *map(_listed, (one.gained, one.lost)),
                numbers.bare(one.p),
            )
            for one in judgement.solved
        )
        yield from table(("trial", f"solved, {BASELINE}", f"solved, {row.mode}", "gained", "lost", "p"), solved)
    failed = ((f"failed: {why}", *map("{:,}".format, counts)) for why, counts in view.failures(row))
    breadth = ((name, *figures) for name, figures in phrases.breadth(row))
    yield from table(("figure", *row.modes), (*breadth, *failed))
    yield from _problems(row)
    seen = phrases.observed(row)
    if seen:
        yield from table(
            ("the probe saw", *(f"trial {place}" for place in range(1, len(seen[0][1]) + 1))), map(flat, seen)
        )
    counters = view.counters(row.cell.modes.get(row.mode, []))
    if counters:
        head = ("counter", *(f"trial {place}" for place in range(1, len(counters[0][1]) + 1)))
        yield from table(head, ((name, *map(number, values)) for name, values in counters))


def flat(named: tuple[str, list[str]]) -> list[str]:
    """A name and its figures as one line of a table."""
    return [named[0], *named[1]]


def _rates(row: Comparison) -> Iterator[str]:
    head = ("k", *row.modes) + (("difference", "p", "noise") if row.judgement else ())
    lines = []
    for k in range(1, row.cell.n + 1):
        line = [str(k), *(numbers.rate(row.rate(k, mode)) for mode in row.modes)]
        change = row.change(k)
        if change:
            interval = numbers.span(change.low, change.high)
            line += [f"{numbers.points(change.difference)} ({interval})", numbers.bare(change.p), numbers.noise(change)]
        lines.append(line + [""] * (len(head) - len(line)))
    yield from table(head, lines)


def _problems(row: Comparison) -> Iterator[str]:
    moved = [one for one in view.problems(row) if one.changed] if row.judgement else []
    if moved:
        head = ("problem", *(f"{mode}, of {view.samples_each(row.cell, mode)}" for mode in row.modes), "gained", "lost")
        yield from table(head, ([one.problem, *map(str, one[1:])] for one in moved))
    still = [one for one in view.problems(row) if not one.changed]
    if still:
        yield ""
        yield escaped(f"{phrases.unmoved(row, still)}: {', '.join(f'{one.problem} {one.before}' for one in still)}.")


def _trust(evidence: AccuracyEvidence) -> Iterator[str]:
    yield from table(
        ("what", "value"), ((name, each) for name, lines in phrases.trust(evidence).items() for each in lines)
    )


def _circumstances(evidence: AccuracyEvidence) -> Iterator[str]:
    yield from table(("what", "value"), phrases.circumstances(evidence).items())
    yield from table(("cell", "mode", "tokens", "seconds", "seeds"), phrases.work(evidence))
    yield ""
    yield from (f"    {line}" for line in phrases.commands(evidence))


def _listed(problems: list[str]) -> str:
    return f"{len(problems)}: {', '.join(problems)}" if problems else "0"
