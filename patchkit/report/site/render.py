"""Templates with what they may call. Everything that is put into one is escaped, and no character steers a browser."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from patchkit.report import patches_needed, phrases
from patchkit.report.accuracy import numbers, view
from patchkit.report.accuracy import phrases as accuracy_phrases
from patchkit.report.accuracy import verdict as accuracy_verdict
from patchkit.report.mutants import phrases as mutants_phrases
from patchkit.report.site import drifts, matrix, throughput
from patchkit.report.site.front import NOTHING, SIGNS
from patchkit.report.site.sources import Filed, Sources
from patchkit.report.site.trees import MEANING, Trees
from patchkit.report.throughput import phrases as throughput_phrases
from patchkit.report.throughput import plot

HERE = Path(__file__).parent
STYLE = HERE / "style.css"
GENERATOR = "patchkit"


class Renderer:
    """Renders one site's pages."""

    def __init__(self, sources: Sources, trees: Trees) -> None:
        self._sources, self._trees = sources, trees

    def page(self, name: str, **context: Any) -> str:
        template = _templates().get_template(f"{name}.html.jinja")
        return template.render(here=name, sources=self._sources, trees=self._trees, **context)

    def above(self, filed: Filed[Any]) -> Markup:
        """What stands above an accuracy page: the way back, and which tree it is of."""
        return Markup(self.page("above", filed=filed))


@functools.cache  # compiling them takes longer than rendering a page
def _templates() -> Environment:
    jinja = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    jinja.globals.update(
        standings=MEANING,
        say=phrases,
        say_mutants=mutants_phrases,
        accuracy_verdict=accuracy_verdict,
        say_accuracy=accuracy_phrases,
        patches_needed=patches_needed,
        matrix=matrix,
        numbers=numbers,
        drifts=drifts,
        throughput=throughput,
        say_throughput=throughput_phrases,
        plot=plot.plot,
        NOTHING=NOTHING,
        SIGNS=SIGNS,
        GENERATOR=GENERATOR,
    )
    return jinja


def _finalize(value: Any) -> Any:
    return value if isinstance(value, Markup) else view.clean(str(value))
