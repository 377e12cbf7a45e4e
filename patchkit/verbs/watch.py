"""The verb ``watch``: one tick."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from patchkit.console import err
from patchkit.drift.scan import Scanner
from patchkit.project import find_project
from patchkit.report.watch import github, markdown, text
from patchkit.watch.gating import Gates, Places
from patchkit.watch.judging import Judge, Wanted
from patchkit.watch.keeping import Keeper
from patchkit.watch.pin import Move, move
from patchkit.watch.tick import Tick


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options of the command line; see ``patchkit watch --help``."""

    runtime: str
    device: str
    python: Path | None
    gate: Wanted
    lock: bool
    limit: float
    out: Path | None
    known: Path | None
    move_pin: bool
    annotations: bool
    dry_run: bool
    as_json: bool


def watch(asked: Asked) -> int:
    """Look once for new releases and judge them.

    Returns:
        0 only if the index was asked and there is nothing new, or the runtime is proven on everything new; 1 if a
        person must look.

    Raises:
        PatchkitError: the index could not be asked, a release not read, or bad input; the report says so too.
    """
    folder = asked.out or find_project().state / "watch"
    tick = Tick(asked.runtime, asked.device, asked.dry_run)
    keeper = Keeper(folder, tick, markdown.render, asked.known)
    try:
        with keeper.watched():
            _tick(asked, tick, keeper)
            tick.finish()
    finally:
        _tell(asked, tick, keeper)
    if not asked.as_json:
        text.show(tick, keeper.markdown)
    return tick.code


def _tick(asked: Asked, tick: Tick, keeper: Keeper) -> None:
    project = find_project()
    scanner = Scanner.of(project, asked.runtime)
    tick.pin = scanner.manifest.pin
    places = Places.of(asked.device, asked.python, asked.lock)
    gates = Gates(project, scanner.manifest, places, asked.limit, keeper.folder)
    Judge(tick, keeper, scanner, gates, asked.gate).judge()
    if asked.move_pin and tick.proven and not asked.dry_run:
        keeper.doing("moving the pin")
        moves = [
            Move(one.release, keeper.folder / (one.evidence or ""), keeper.folder / one.lock if one.lock else None)
            for one in tick.news
            if one.outcome == "proven"
        ]
        for release in move(project, asked.runtime, moves):
            err.print(f"vLLM {release} joined `proven` in {scanner.manifest.folder / 'runtime.yaml'}", markup=False)


def _tell(asked: Asked, tick: Tick, keeper: Keeper) -> None:
    """Also of a tick that ended early."""
    if asked.as_json:
        print(json.dumps(tick.document(), indent=2, ensure_ascii=False))
    if asked.annotations or os.environ.get("GITHUB_ACTIONS"):
        github.annotate(tick, sys.stderr if asked.as_json else sys.stdout)
    if not asked.dry_run:
        github.write_outputs(tick, keeper.changed)
