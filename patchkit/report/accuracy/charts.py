"""Small SVG pictures. What they are coloured with is up to the page: they only name classes.

Pictures that stand in a row of a table have coordinates in percent, so that they are as wide as their column and their
marks keep their size. All have a title, for readers who cannot see them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from patchkit.evals.number_format import points
from patchkit.evals.records import Change, Needed, Rate
from patchkit.report.accuracy.numbers import chance, percent, span
from patchkit.report.svg import ChartFrame, dot, element, polyline

FRAME = ChartFrame(width=440, height=270, left=48, right=112, top=12, bottom=46, text=(("class_", "tick"),))
TOPS = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
STEPS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
LABEL_GAP = 42  # between the labels of two curves
LOG_FROM = 8

_Scale = Callable[..., float]


class Domain(NamedTuple):
    """The differences that an axis shows."""

    low: float
    high: float

    def at(self, value: float) -> str:
        """Where a difference lies, in percent."""
        return f"{100 * (min(max(value, self.low), self.high) - self.low) / (self.high - self.low):.2f}%"

    def ticks(self) -> list[float]:
        """Round differences, five steps at most, whose labels fit at both ends."""
        width = self.high - self.low
        step = next((step for step in STEPS if width / step <= 5), 1.0)
        low, high = self.low + 0.05 * width, self.high - 0.05 * width
        return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def domain_of(changes: Sequence[Change], needed: Sequence[Needed] = ()) -> Domain:
    """The range of all intervals, the noise and the smallest resolvable difference, with a small margin."""
    ends = [0.0, *(end for change in changes for end in (change.low, change.high, change.difference))]
    both_ways = [change.noise or 0.0 for change in changes] + [one.resolvable for one in needed]
    reach = max(both_ways, default=0.0)
    low, high = min(*ends, -reach), max(*ends, reach)
    margin = 0.06 * (high - low) or 0.01
    return Domain(low - margin, high + margin)


def forest(change: Change, domain: Domain, needed: Needed | None = None) -> Markup:
    """A difference with its interval, before the noise floor; full where it is resolved, hollow where it is not."""
    parts = []
    if change.noise is not None:
        start, end = domain.at(-change.noise), domain.at(change.noise)
        parts.append(element("line", class_="noise", x1=start, x2=end, y1="50%", y2="50%"))
    parts.append(element("line", class_="zero", x1=domain.at(0), x2=domain.at(0), y1="0", y2="100%"))
    for resolvable in (-needed.resolvable, needed.resolvable) if needed else ():
        x = domain.at(resolvable)
        parts.append(element("line", class_="resolvable", x1=x, x2=x, y1="15%", y2="85%"))
    low, high, at = domain.at(change.low), domain.at(change.high), domain.at(change.difference)
    parts.append(element("line", class_="interval", x1=low, x2=high, y1="50%", y2="50%"))
    parts += [element("line", class_="interval", x1=end, x2=end, y1="32%", y2="68%") for end in (low, high)]
    kind = "point resolved" if change.direction else "point unresolved"
    parts.append(element("rect", class_=kind, x=at, y="50%", width=9, height=9, transform="translate(-4.5 -4.5)"))
    title = f"pass@{change.k}: {points(change.difference)} points, {span(change.low, change.high)}, {chance(change.p)}"
    return fluid("forest", title, parts)


def axis(domain: Domain) -> Markup:
    """Round differences below a column of forests."""
    parts = []
    for tick in domain.ticks():
        x = domain.at(tick)
        parts.append(element("line", class_="grid", x1=x, x2=x, y1="0", y2="5"))
        label = f"{100 * tick:+.3g}".replace("-", "\N{MINUS SIGN}") if tick else "0"
        parts.append(element("text", label, x=x, y="18", text_anchor="middle"))
    return fluid("axis", "difference in points", parts)


def dumbbell(before: float, after: float, title: str) -> Markup:
    """Two shares of one problem, joined: the baseline a ring, the mode a disc."""
    was, now = f"{100 * before:.2f}%", f"{100 * after:.2f}%"
    parts = [
        element("line", class_="rail", x1="0", x2="100%", y1="50%", y2="50%"),
        element("line", class_="moved", x1=was, x2=now, y1="50%", y2="50%"),
        element("circle", class_="mode", cx=now, cy="50%", r="4"),
        element("circle", class_="baseline", cx=was, cy="50%", r="4"),
    ]
    return fluid("dumbbell", title, parts)


def fluid(kind: str, title: str, parts: Sequence[Markup]) -> Markup:
    """A picture as wide as its container."""
    return element("svg", element("title", title), *parts, class_=f"fluid {kind}", role="img", aria_label=title)


def curves(rates: Mapping[str, Sequence[Rate]], ident: str, names: Mapping[str, str]) -> Markup:
    """pass@k against k with 95% bands; every curve is named at its end. The first mode is the baseline."""
    most = max(rate.k for curve in rates.values() for rate in curve)
    top = next((top for top in TOPS if all(rate.high <= top for curve in rates.values() for rate in curve)), 1.0)
    log = most >= LOG_FROM

    def x(k: int) -> float:
        return FRAME.across(math.log2(k) / math.log2(most) if log else (k - 1) / (most - 1))

    def y(share: float) -> float:
        return FRAME.up(share / top)

    shares = [top * quarter / 4 for quarter in range(5)]
    caption = f"k, samples a problem{', on a log scale' if log else ''}"
    lines = [("grid", y(share), f"{100 * share:g}%") for share in shares]
    parts = FRAME.grid(lines, ((x(k), str(k)) for k in _ks(most, log)), caption)
    for number, curve in enumerate(rates.values()):
        parts += _curve("mode" if number else "baseline", curve, x, y)
    heights = _apart([y(curve[-1].value) for curve in rates.values()])
    for number, (mode, curve) in enumerate(rates.items()):
        kind, left = "mode" if number else "baseline", f"{FRAME.width - FRAME.right + 12}"
        name = element("tspan", names[mode], class_="name")
        value = element("tspan", percent(curve[-1].value), x=left, dy="1.15em")
        parts.append(element("text", name, value, class_=f"end {kind}", x=left, y=f"{heights[number] - 2:.1f}"))
    ends = "; ".join(f"{names[mode]} from {percent(c[0].value)} to {percent(c[-1].value)}" for mode, c in rates.items())
    return FRAME.picture("curves", ident, f"pass@k against k, 1 to {most}", f"With 95% bands. {ends}.", parts)


def _ks(most: int, log: bool) -> list[int]:
    if not log:
        return list(range(1, most + 1))
    powers = [2**power for power in range(most.bit_length())]
    return powers if powers[-1] == most else [*[k for k in powers if k * 1.4 < most], most]


def _curve(kind: str, curve: Sequence[Rate], x: _Scale, y: _Scale) -> list[Markup]:
    """Band, line, and a mark at the powers of two."""
    upper = [f"{x(rate.k):.1f},{y(rate.high):.1f}" for rate in curve]
    lower = [f"{x(rate.k):.1f},{y(rate.low):.1f}" for rate in reversed(curve)]
    marked = [rate for rate in curve if rate.k in _ks(curve[-1].k, curve[-1].k >= LOG_FROM)]
    return [
        element("polygon", class_=f"band {kind}", points=" ".join(upper + lower)),
        polyline(kind, [(x(rate.k), y(rate.value)) for rate in curve]),
        *(dot(kind, x(rate.k), y(rate.value)) for rate in marked),
    ]


def _apart(heights: Sequence[float]) -> list[float]:
    """The heights of the labels of one or two curves: at their ends, inside the picture, without overlap."""
    top, bottom = FRAME.top + 8.0, FRAME.height - FRAME.bottom - 18.0
    inside = [min(max(at, top), bottom) for at in heights]
    if len(inside) < 2 or abs(inside[0] - inside[1]) >= LABEL_GAP:
        return inside
    middle = min(max(sum(inside) / 2, top + LABEL_GAP / 2), bottom - LABEL_GAP / 2)
    above = -1 if inside[0] <= inside[1] else 1
    return [middle + above * LABEL_GAP / 2, middle - above * LABEL_GAP / 2]
