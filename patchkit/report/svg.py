"""SVG elements, and what every chart of lines has: a frame, a grid, the names of its scales."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape


def element(name: str, *children: str, **attributes: str | float) -> Markup:
    """One element, with everything escaped that is not markup already; ``text_anchor`` is ``text-anchor``."""
    named = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
    given = Markup("").join(Markup(' {}="{}"').format(key, value) for key, value in named.items())
    return Markup("<{0}{1}>{2}</{0}>").format(name, given, Markup("").join(map(escape, children)))


@dataclass(frozen=True)
class ChartFrame:
    """The size of a chart and of its margins, in its own units; ``text`` are attributes of its labels."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    inset: int = 0
    text: tuple[tuple[str, str], ...] = ()

    def across(self, share: float) -> float:
        """From the left, 0, to the right, 1."""
        return self.left + self.inset + share * (self.width - self.left - self.right - 2 * self.inset)

    def up(self, share: float) -> float:
        """From the bottom, 0, to the top, 1."""
        return self.top + (1 - share) * (self.height - self.top - self.bottom)

    def grid(
        self, lines: Iterable[tuple[str, float, str]], columns: Iterable[tuple[float, str]], caption: str
    ) -> list[Markup]:
        """Lines across (class, height and label of each), labels below, and what these are."""
        parts, text = [], dict(self.text)
        for kind, height, label in lines:
            at = f"{height:.1f}"
            parts.append(element("line", class_=kind, x1=self.left, x2=self.width - self.right, y1=at, y2=at))
            parts.append(element("text", label, **text, x=self.left - 7, y=f"{height + 4:.1f}", text_anchor="end"))
        for place, label in columns:
            below = self.height - self.bottom + 19
            parts.append(element("text", label, **text, x=f"{place:.1f}", y=below, text_anchor="middle"))
        middle = (self.left + self.width - self.right) / 2
        return [*parts, element("text", caption, **text, x=middle, y=self.height - 6, text_anchor="middle")]

    def picture(self, kind: str, ident: str, title: str, said: str, parts: Sequence[Markup]) -> Markup:
        """The whole chart, with a title and a description for readers who cannot see it."""
        return element(
            "svg",
            element("title", title, id=f"{ident}-title"),
            element("desc", said, id=f"{ident}-desc"),
            *parts,
            class_=kind,
            viewBox=f"0 0 {self.width} {self.height}",
            role="img",
            aria_labelledby=f"{ident}-title {ident}-desc",
        )


def dot(kind: str, x: float, y: float) -> Markup:
    return element("circle", class_=kind, cx=f"{x:.1f}", cy=f"{y:.1f}", r="3.5")


def polyline(kind: str, places: Iterable[tuple[float, float]]) -> Markup:
    return element("polyline", class_=f"line {kind}", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in places))
