"""What a runtime's code touches of vLLM, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from patchkit.console import out, tick
from patchkit.drift.surface_check import Mismatch, Touched
from patchkit.report import tables
from patchkit.series.manifest import Manifest


def show_touches(states: Sequence[Touched]) -> None:
    """Every symbol once: how and where it is touched, with the whole series on, or by the pin alone."""
    table = tables.plain("symbol", "how", "where")
    places: dict[tuple[str, str], list[str]] = {}
    for state in reversed(states):
        for touch in state.touches:
            if touch.manner != "imports":
                places.setdefault((state.known[touch.symbol], touch.manner), []).append(
                    f"{touch.place} ({state.title})"
                )
    for (symbol, manner), where in sorted(places.items()):
        table.add_row(symbol.removeprefix("vllm."), manner, where[0])
    tables.show(table)


def show_mismatches(manifest: Manifest, states: Sequence[Touched], wrong: Sequence[Mismatch], newest: str) -> None:
    """What could not be followed, where code and manifest differ, or that they do not."""
    touches = sum(len(state.touches) for state in states)
    read = f"{touches} touches, pin on vLLM {manifest.developed_on} and series on {newest}"
    for unread in dict.fromkeys(one for state in states for one in state.unread):
        out.print(Text.assemble(("? ", "yellow"), f"not followed: {unread}"))
    for one in wrong:
        out.print(tick(False).append(str(one)))
    if wrong:
        path = manifest.folder / "runtime.yaml"
        out.print(Text.assemble((f"{len(wrong)} do not agree", "bold"), f" with `surface` in {path} ({read})"))
    elif not any(state.unread for state in states) and all(state.touches for state in states):
        symbols = len(manifest.surface.manners())
        out.print(tick(True).append(f"{symbols} symbols declared, and the code touches just these ({read})"))
