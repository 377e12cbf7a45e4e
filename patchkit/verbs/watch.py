"""The verb ``watch``: one tick."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from patchkit.console import err
from patchkit.drift.scan import Scanner
from patchkit.model_runner import ModelRunner
from patchkit.project import find_project
from patchkit.report.watch import github, markdown, terminal
from patchkit.series.proven import NAME
from patchkit.watch.gating import Gates, GateTarget, runners_of
from patchkit.watch.promotion import Promotion, promote
from patchkit.watch.report import to_json
from patchkit.watch.report_files import ReportFiles
from patchkit.watch.stages import Judge, Wanted
from patchkit.watch.tick import Tick


@dataclass(frozen=True, kw_only=True)
class WatchOptions:
    """The options of the command line; see ``patchkit watch --help``."""

    runtime: str
    device: str
    python: Path | None
    runners: Sequence[ModelRunner]
    gate: Wanted
    lock: bool
    limit: float
    out: Path | None
    known: Path | None
    move_pin: bool
    annotations: bool
    dry_run: bool
    as_json: bool


def watch(options: WatchOptions) -> int:
    """Look once for new releases and judge them.

    Returns:
        0 only if the index was options and there is nothing new, or the runtime is proven on everything new; 1 if a
        person must look.

    Raises:
        PatchkitError: the index could not be options, a release not read, or bad input; the report says so too.
    """
    folder = options.out or find_project().state / "watch"
    tick = Tick(options.runtime, options.device, options.dry_run)
    files = ReportFiles(folder, tick, markdown.render, options.known)
    try:
        with files.watched():
            _tick(options, tick, files)
            tick.finish()
    finally:
        _show(options, tick, files)
    if not options.as_json:
        terminal.show(tick, files.markdown)
    return tick.code


def _tick(options: WatchOptions, tick: Tick, files: ReportFiles) -> None:
    project = find_project()
    scanner = Scanner.of(project, options.runtime)
    tick.pin = scanner.manifest.pin
    places = GateTarget.of(options.device, options.python, options.lock)
    runners = options.runners or runners_of(scanner.manifest, options.device)
    gates = Gates(project, scanner.manifest, places, runners, options.limit, files.folder)
    Judge(tick, files, scanner, gates, options.gate).judge()
    if options.move_pin and tick.proven and not options.dry_run:
        files.doing("moving the pin")
        updates = [
            Promotion(
                one.release,
                [files.folder / run.evidence for run in one.runs if run.evidence],
                files.folder / one.lock if one.lock else None,
            )
            for one in tick.news
            if one.outcome == "proven"
        ]
        for release in promote(project, options.runtime, updates):
            err.print(f"vLLM {release} joined {scanner.manifest.folder / NAME}; `patchkit prove` tells", markup=False)


def _show(options: WatchOptions, tick: Tick, files: ReportFiles) -> None:
    """Also of a tick that ended early."""
    if options.as_json:
        print(to_json(tick.report()), end="")
    if options.annotations or os.environ.get("GITHUB_ACTIONS"):
        github.annotate(tick, sys.stderr if options.as_json else sys.stdout)
    if not options.dry_run:
        github.write_outputs(tick, files.changed)
