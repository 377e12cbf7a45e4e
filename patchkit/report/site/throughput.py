"""Every measured ratio of tokens/s with and without a runtime, beside the rows that were decoded at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any, NamedTuple

from markupsafe import Markup

from patchkit.bench.throughput_evidence import ThroughputEvidence
from patchkit.gates.evidence import Evidence, Figure, Verdict
from patchkit.report.accuracy.charts import Domain, fluid
from patchkit.report.site.matrix import runner
from patchkit.report.site.sources import Filed, Sources
from patchkit.report.site.trees import Standing, Trees
from patchkit.report.svg import element
from patchkit.report.throughput import phrases

LEAST_DOMAIN = 1.1  # the axis begins at 0 and always shows 1, where the runtime costs nothing


class Speed(NamedTuple):
    """One pair of throughputs; what was not recorded is None."""

    filed: Filed[Any]
    standing: Standing
    what: str
    rows: int | None
    plain: float
    patched: float
    ratio: float
    low: float | None
    high: float | None
    pairs: int | None

    @property
    def runner(self) -> str:
        return runner(self.filed.record)


def speeds(sources: Sources, trees: Trees) -> list[Speed]:
    """All of them: runner by runner, the most rows first, those of unknown rows last."""
    found = [
        speed
        for filed in (*sources.benches, *sources.gates)
        for verdict in filed.record.verdicts
        for speed in _of_verdict(filed, trees.standing(filed.record), verdict)
    ]
    for measured in sources.throughputs:
        found += _of_rows(measured, trees.standing(measured.record))
    return sorted(found, key=lambda one: (one.runner, one.rows is None, -(one.rows or 0)))


def _of_rows(filed: Filed[ThroughputEvidence], standing: Standing) -> Iterator[Speed]:
    """The rows that are figures; the others are on the file's own page."""
    for row in filed.record.rows:
        if row.ratio is not None:
            yield Speed(
                filed,
                standing,
                f"{phrases.model(filed.record)}, {phrases.load(row)}",
                row.rows,
                median(run.rate for run in row.plain[row.fastest]),
                median(run.rate for run in row.patched),
                row.ratio.median,
                row.ratio.low,
                row.ratio.high,
                row.ratio.pairs,
            )


def _of_verdict(filed: Filed[Evidence], standing: Standing, verdict: Verdict) -> Iterator[Speed]:
    """Of the parts where they were measured part by part, else of the whole scenario."""
    parts = [(f"{verdict.scenario}, {part.name}", part.figures) for part in verdict.parts if _measured(part.figures)]
    whole = {**verdict.figures}
    for what, figures in parts or ([(verdict.scenario, whole)] if _measured(whole) else []):
        rows = _number({**whole, **figures}.get("decode_rows_at_once"))
        pairs = _number(figures.get("pairs"))
        yield Speed(
            filed,
            standing,
            what,
            None if rows is None else int(rows),
            _number(figures["plain_tokens_per_second"]) or 0.0,
            _number(figures["patched_tokens_per_second"]) or 0.0,
            _number(figures["ratio"]) or 0.0,
            _number(figures.get("ratio_low")),
            _number(figures.get("ratio_high")),
            None if pairs is None else int(pairs),
        )


def _measured(figures: Mapping[str, Figure]) -> bool:
    names = ("plain_tokens_per_second", "patched_tokens_per_second", "ratio")
    return all(_number(figures.get(name)) is not None for name in names)


def _number(value: Figure) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def picture(one: Speed, most: float) -> Markup:
    """The ratio with its interval on an axis from 0; the line is 1, where the runtime costs nothing."""
    domain = Domain(0.0, most)
    parts = [element("line", class_="zero", x1=domain.at(1), x2=domain.at(1), y1="0", y2="100%")]
    title = f"{one.ratio:.2f} x"
    if one.low is not None and one.high is not None:
        title += f" ({one.low:.2f} to {one.high:.2f})"
        low, high = domain.at(one.low), domain.at(one.high)
        parts.append(element("line", class_="interval", x1=low, x2=high, y1="50%", y2="50%"))
    parts.append(element("circle", class_="point", cx=domain.at(one.ratio), cy="50%", r="4"))
    return fluid("ratio", title, parts)


def axis(most: float) -> Markup:
    """0, a half, 1 and so on, below a column of ratios."""
    domain, parts = Domain(0.0, most), []
    for half in range(int(most / 0.5) + 1):
        x = domain.at(half / 2)
        parts.append(element("line", class_="grid", x1=x, x2=x, y1="0", y2="5"))
        where = "start" if half == 0 else "middle"
        parts.append(element("text", f"{half / 2:g}", x=x, y="18", text_anchor=where))
    return fluid("axis", "tokens/s with the runtime over tokens/s without", parts)


def most_of(found: list[Speed]) -> float:
    return max([LEAST_DOMAIN, *(1.05 * (one.high or one.ratio) for one in found)])
