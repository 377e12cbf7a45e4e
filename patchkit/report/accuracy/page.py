"""The page: one file, nothing fetched, readable without JavaScript."""

from __future__ import annotations

import functools
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from patchkit.bench.accuracy_evidence import AccuracyEvidence
from patchkit.evals.records import BASELINE, Rate
from patchkit.plural import counted
from patchkit.report.accuracy import charts, numbers, phrases, verdict, view
from patchkit.report.accuracy.view import Comparison, ProblemChange
from patchkit.report.phrases import number

HERE = Path(__file__).parent
ROWS, MOST_ROWS = 24, 60  # problems shown at once: those that changed most, then others gained or lost
NAME_LENGTH = 11  # most letters of a mode's name beside its curve


def render_html(evidence: AccuracyEvidence, above: Markup | None = None) -> str:
    """The whole page; ``above`` is put before everything else, such as the way back to a site."""
    evidence = view.printable(evidence)
    rows = view.comparisons(evidence)
    known = [change for row in rows for k in view.ends(row.cell.n) if (change := row.change(k))]
    return _page().render(
        evidence=evidence,
        rows=rows,
        models=view.short_models(evidence),
        domain=charts.domain_of(known),
        above=above or Markup(""),
        style=Markup((HERE / "style.css").read_text(encoding="utf-8")),
    )


@functools.cache  # compiling it takes longer than rendering it
def _page() -> Template:
    jinja = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    jinja.globals.update(
        BASELINE=BASELINE,
        say=phrases,
        figure=numbers,
        verdict=verdict,
        view=view,
        charts=charts,
        counted=counted,
        number=number,
        curves=curves,
        domain_of=domain,
        problem_rows=problem_rows,
        unchanged=unchanged,
        dumbbell=dumbbell,
    )
    return jinja.get_template("page.html.jinja")


def curves(row: Comparison) -> Markup | None:
    """pass@k against k; None for a single k."""
    rates: dict[str, list[Rate]] = {mode: row.cell.curves[mode] for mode in row.modes if row.cell.curves.get(mode)}
    if row.cell.n < 2 or BASELINE not in rates:
        return None
    names = {mode: mode if len(mode) <= NAME_LENGTH else f"{mode[: NAME_LENGTH - 1]}…" for mode in rates}
    return charts.curves(rates, row.anchor, names)


def domain(row: Comparison) -> charts.Domain:
    """The differences that this comparison's forest shows."""
    known = [change for k in view.ends(row.cell.n) if (change := row.change(k))]
    return charts.domain_of(known, row.judgement.needed if row.judgement else ())


def problem_rows(row: Comparison) -> tuple[list[ProblemChange], list[ProblemChange]]:
    """The problems that changed: those shown at once, and the others; each list from risen to fallen."""
    moved = [one for one in view.problems(row) if one.changed]
    first = sorted(moved, key=lambda one: (one.gained == one.lost, -abs(one.after - one.before)))
    turned = sum(one.gained != one.lost for one in moved)
    shown = set(first[: min(max(ROWS, turned), MOST_ROWS)])
    return [one for one in moved if one in shown], [one for one in moved if one not in shown]


def unchanged(row: Comparison) -> list[ProblemChange]:
    """The problems that did not change."""
    return [one for one in view.problems(row) if not one.changed]


def dumbbell(row: Comparison, one: ProblemChange) -> Markup:
    """The picture of one problem."""
    before, after = (view.samples_each(row.cell, mode) or 1 for mode in (BASELINE, row.mode))
    title = f"{one.problem}: {BASELINE} {one.before} of {before}, {row.mode} {one.after} of {after}"
    return charts.dumbbell(one.before / before, one.after / after, title)
