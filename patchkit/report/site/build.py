"""The pages of a site, rendered in memory first, so that a folder gets all of them or none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from patchkit.errors import PatchkitError
from patchkit.files import write_atomically
from patchkit.report.accuracy import render_html
from patchkit.report.site import front, matrix, throughput
from patchkit.report.site.render import GENERATOR, STYLE, Renderer
from patchkit.report.site.sources import Sources, read_sources
from patchkit.report.site.trees import Trees

FRONT = "index.html"


def build_site(evidence: Sequence[Path], folder: Path) -> Path:
    """Write the site of some evidence files into a folder; pages of an earlier site that are no more are removed.

    Returns:
        The front page.

    Raises:
        PatchkitError: a file is no evidence, or the folder cannot be written, or holds another front page.
    """
    if folder.exists() and not folder.is_dir():
        raise PatchkitError(f"--html {folder}: it is a file", "name a folder, or a file that ends in .html")
    if (folder / FRONT).exists() and not _ours(folder / FRONT):
        raise PatchkitError(f"{folder / FRONT} is not patchkit's", "choose another folder")
    pages = render_site(read_sources(evidence), Trees.here())
    for name, content in sorted(pages.items(), key=lambda page: page[0] == FRONT):  # the front page leads to the others
        write_atomically(folder / name, content)
    for old in folder.glob("*.html"):
        if old.name not in pages and _ours(old):
            old.unlink()
    return folder / FRONT


def render_site(sources: Sources, trees: Trees) -> dict[str, str]:
    """Every file of the site by its name: the same for the same evidence and the same project."""
    renderer = Renderer(sources, trees)
    return {"style.css": STYLE.read_text(encoding="utf-8"), **dict(_pages(renderer, sources, trees))}


def _pages(renderer: Renderer, sources: Sources, trees: Trees) -> Iterator[tuple[str, str]]:
    supports, speeds = matrix.supports(sources, trees), throughput.speeds(sources, trees)
    shared: dict[str, Any] = {
        "supports": supports,
        "speeds": speeds,
        "areas": front.areas(sources, supports, speeds, trees),
        "verdict": front.verdict(supports),
    }
    yield FRONT, renderer.page("front", **shared)
    for name in ("knockouts", "mutants", "drift", "throughput", "accuracy"):
        yield f"{name}.html", renderer.page(name, **shared)
    for filed in (*sources.gates, *sources.benches):
        yield filed.page, renderer.page("gate", filed=filed)
    for filed in sources.knockouts:
        yield filed.page, renderer.page("knockout", filed=filed)
    for mutants in sources.mutants:
        yield mutants.page, renderer.page("mutant_list", filed=mutants)
    for speed in sources.throughputs:
        yield speed.page, renderer.page("speed", filed=speed)
    for accuracy in sources.accuracies:
        yield accuracy.page, render_html(accuracy.record, above=renderer.above(accuracy))


def _ours(page: Path) -> bool:
    try:
        return f'name="generator" content="{GENERATOR}' in page.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
