"""The ratio against the rows in flight, as an SVG: a line for each mode and set of settings, with its intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from markupsafe import Markup

from patchkit.bench.throughput_evidence import ThroughputRow
from patchkit.report.svg import ChartFrame, dot, element, polyline

FRAME = ChartFrame(width=640, height=300, left=46, right=190, top=14, bottom=46, inset=12)
LEAST_TOP = 1.1  # the axis always shows 1, where the runtime costs nothing
SERIES = 5  # colours
LABEL_GAP = 15.0


def plot(rows: Sequence[ThroughputRow], ident: str) -> Markup:
    """Rows that are alive; empty if none is. A hollow mark and a dashed line: eager mode."""
    alive = [row for row in rows if row.ratio is not None]
    if not alive:
        return Markup("")
    top = max([LEAST_TOP, *(1.05 * row.ratio.high for row in alive if row.ratio)])
    counts = sorted({row.rows for row in alive})

    def x(count: int) -> float:
        low, high = math.log2(counts[0]), math.log2(counts[-1])
        return FRAME.across((math.log2(count) - low) / (high - low) if high > low else 0.5)

    def y(ratio: float) -> float:
        return FRAME.up(ratio / top)

    tenths = range(0, int(top * 10) + 1, 2)
    lines = [("grid one" if tenth == 10 else "grid", y(tenth / 10), f"{tenth / 10:g}") for tenth in tenths]
    parts = FRAME.grid(lines, ((x(count), f"{count:,}") for count in counts), "rows, on a log scale")
    ends: list[tuple[float, str, str]] = []
    ordered = sorted(alive, key=lambda row: (row.mode, row.settings, row.rows))
    names = dict.fromkeys(row.settings for row in rows)
    for (mode, settings), found in groupby(ordered, key=lambda row: (row.mode, row.settings)):
        line = list(found)
        kind = f"series-{list(names).index(settings) % SERIES} {mode}"
        parts += _line(line, kind, x, y)
        if line[-1].ratio:
            ends.append((y(line[-1].ratio.median), kind, f"{mode} {settings}"))
    parts += _labels(ends)
    title = "Tokens/s with the runtime over those of the fastest plain vLLM, against rows"
    said = "; ".join(
        f"{row.mode} {row.settings}, {row.rows} rows: {row.ratio.median:.3f}" for row in ordered if row.ratio
    )
    return FRAME.picture("against-rows", ident, title, said, parts)


def _line(
    rows: Sequence[ThroughputRow], kind: str, x: Callable[[int], float], y: Callable[[float], float]
) -> Iterator[Markup]:
    places = [(x(row.rows), row.ratio) for row in rows if row.ratio]
    yield polyline(kind, [(at, y(found.median)) for at, found in places])
    for at, found in places:
        low, high = f"{y(found.low):.1f}", f"{y(found.high):.1f}"
        yield element("line", class_=f"interval {kind}", x1=f"{at:.1f}", x2=f"{at:.1f}", y1=low, y2=high)
        yield dot(kind, at, y(found.median))


def _labels(ends: Sequence[tuple[float, str, str]]) -> list[Markup]:
    """The name of each line at its end, one above the other without overlap."""
    parts, lowest = [], -math.inf
    for at, kind, name in sorted(ends):
        lowest = max(at, lowest + LABEL_GAP)
        shown = name if len(name) <= 30 else f"{name[:29]}…"
        parts.append(element("text", shown, class_=kind, x=FRAME.width - FRAME.right + 4, y=f"{lowest + 4:.1f}"))
    return parts
