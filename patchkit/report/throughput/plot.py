"""The ratio against the rows in flight, as an SVG: a line for each mode and set of settings, with its intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import groupby

from markupsafe import Markup

from patchkit.bench.throughput_evidence import ThroughputRow
from patchkit.report.accuracy.charts import element

WIDTH, HEIGHT = 640, 300  # in its own units
LEFT, RIGHT, TOP, BOTTOM = 46, 190, 14, 46
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
        share = (math.log2(count) - low) / (high - low) if high > low else 0.5
        return LEFT + 12 + share * (WIDTH - LEFT - RIGHT - 24)

    def y(ratio: float) -> float:
        return TOP + (1 - ratio / top) * (HEIGHT - TOP - BOTTOM)

    parts = _grid(counts, top, x, y)
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
    return element(
        "svg",
        element("title", title, id=f"{ident}-title"),
        element("desc", said, id=f"{ident}-desc"),
        *parts,
        class_="against-rows",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_labelledby=f"{ident}-title {ident}-desc",
    )


def _grid(counts: Sequence[int], top: float, x: Callable[[int], float], y: Callable[[float], float]) -> list[Markup]:
    parts = []
    for tenth in range(0, int(top * 10) + 1, 2):
        at = f"{y(tenth / 10):.1f}"
        kind = "grid one" if tenth == 10 else "grid"
        parts.append(element("line", class_=kind, x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at))
        parts.append(element("text", f"{tenth / 10:g}", x=LEFT - 7, y=f"{y(tenth / 10) + 4:.1f}", text_anchor="end"))
    for count in counts:
        place = f"{x(count):.1f}"
        parts.append(element("text", f"{count:,}", x=place, y=HEIGHT - BOTTOM + 19, text_anchor="middle"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(element("text", "rows, on a log scale", x=middle, y=HEIGHT - 6, text_anchor="middle"))
    return parts


def _line(
    rows: Sequence[ThroughputRow], kind: str, x: Callable[[int], float], y: Callable[[float], float]
) -> list[Markup]:
    places = [(x(row.rows), row.ratio) for row in rows if row.ratio]
    line = " ".join(f"{at:.1f},{y(found.median):.1f}" for at, found in places)
    parts = [element("polyline", class_=f"line {kind}", points=line)]
    for at, found in places:
        low, high = f"{y(found.low):.1f}", f"{y(found.high):.1f}"
        parts.append(element("line", class_=f"interval {kind}", x1=f"{at:.1f}", x2=f"{at:.1f}", y1=low, y2=high))
        parts.append(element("circle", class_=kind, cx=f"{at:.1f}", cy=f"{y(found.median):.1f}", r="3.5"))
    return parts


def _labels(ends: Sequence[tuple[float, str, str]]) -> list[Markup]:
    """The name of each line at its end, one above the other without overlap."""
    parts, lowest = [], -math.inf
    for at, kind, name in sorted(ends):
        lowest = max(at, lowest + LABEL_GAP)
        shown = name if len(name) <= 30 else f"{name[:29]}…"
        parts.append(element("text", shown, class_=kind, x=WIDTH - RIGHT + 4, y=f"{lowest + 4:.1f}"))
    return parts
