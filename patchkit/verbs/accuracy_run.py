"""What an accuracy run needs, whether workers draw or a server: its options, its files, its evidence."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape

from patchkit.bench.accuracy import FinishedPlan
from patchkit.bench.accuracy_evidence import AccuracyEvidence
from patchkit.bench.plan import Plan, make_plan
from patchkit.console import err, out
from patchkit.documents import key_values
from patchkit.errors import PatchkitError
from patchkit.evals.records import BASELINE, Cell
from patchkit.files import check_place, write_atomically
from patchkit.gates.evidence import default_path
from patchkit.project import Project
from patchkit.report.accuracy.page import render_html
from patchkit.report.accuracy.terminal import show_text
from patchkit.verbs.written import publish


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options of a run; see ``patchkit bench accuracy --help``."""

    python: Path | None
    shards: int
    ray: str | None
    unproven: bool
    fresh: bool
    evidence: Path | None
    as_json: bool


@dataclass(frozen=True, kw_only=True)
class CellOptions:
    """One model on one task; see ``patchkit bench accuracy --help``."""

    task: str
    first: int | None
    data: str | None
    grader: str | None
    n: int
    modes: str | None
    trials: int
    max_tokens: int | None
    seed: int
    settings: tuple[str, ...]
    runtime: str

    def plan(self, **more: Any) -> Plan:
        """The plan of this cell, with what is known of model, release and engine."""
        shared, named = by_mode(self.settings)
        task = {name: getattr(self, name) for name in ("task", "first", "max_tokens", "grader", "data")}
        asked = [mode.strip() for mode in self.modes.split(",")] if self.modes else []
        return make_plan(
            {
                "tasks": [task],
                "runtime": self.runtime,
                "modes": chosen(asked, named),
                "n": self.n,
                "trials": self.trials,
                "seed": self.seed,
                "settings": shared,
                **more,
            },
            "bench accuracy",
        )

    def name(self, model: str) -> str:
        """Under which its evidence is filed."""
        size = f"{self.first}-" if self.first else ""
        return f"accuracy-{Path(model).name}-{Path(self.task).stem}-{size}n{self.n}-trials{self.trials}-seed{self.seed}"


def by_mode(given: Iterable[str]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """``KEY=VALUE`` settings of every mode, and ``MODE:KEY=VALUE`` settings of the mode with that name."""
    shared: dict[str, Any] = {}
    named: dict[str, dict[str, Any]] = {}
    for place, value in key_values(given, "--setting").items():
        mode, colon, key = place.partition(":")
        if not colon:
            shared[place] = value
        elif mode and key:
            named.setdefault(mode, {})[key] = value
        else:
            raise PatchkitError(
                f"--setting {place}=…: not of the form MODE:KEY=VALUE", "name the mode, and its setting"
            )
    return shared, named


def chosen(modes: list[str], named: dict[str, dict[str, Any]]) -> list[str] | dict[str, dict[str, Any]]:
    """The named modes that ``--modes`` selects; all of them if it is empty."""
    if not named or modes == [BASELINE]:
        return modes
    known = [BASELINE, *named]
    for mode in modes:
        if mode not in known:
            raise PatchkitError(f"--modes: there is no {mode!r}, only {', '.join(known)}", "name those of --setting")
    return {mode: one for mode, one in named.items() if not modes or mode in modes}


def finish(evidence: AccuracyEvidence, measured: FinishedPlan, where: Path, began: float, as_json: bool) -> None:
    """Write the evidence, its page and every sample side by side, and show it."""
    evidence.cells, evidence.seconds = measured.cells, round(time.monotonic() - began, 1)
    write_atomically(where.with_suffix(".html"), render_html(evidence))
    write_atomically(where.with_suffix(".samples.jsonl.gz"), compressed(measured.samples))
    for line in ungraded_warnings(measured.cells):
        err.print(f"[yellow]![/yellow] {escape(line)}")

    def show(name: str) -> None:
        show_text(evidence, out)
        out.print(f"[dim]{name}, and beside it .html, .samples.jsonl.gz[/dim]")

    publish(evidence, [where], as_json, show)


def place_of(options: RunOptions, state: Path, name: str, release: str, device: str) -> Path:
    """Where the evidence goes; refused now if it cannot be written, not after the run."""
    where = options.evidence or default_path(state, slug(name), release, device)
    if where.suffix != ".json":
        what = f"--evidence {where}: it is JSON, with .html and .samples.jsonl.gz beside it"
        raise PatchkitError(what, "give it a name that ends in .json")
    check_place(where)
    return where


def journals(project: Project) -> Path:
    """The folder of what was drawn."""
    return project.state / "accuracy"


def ungraded_warnings(cells: Iterable[Cell]) -> Iterator[str]:
    """A warning for each mode with grader failures: such samples count as wrong."""
    for cell in cells:
        for mode, trials in cell.modes.items():
            failed = sum(trial.ungraded for trial in trials)
            if failed:
                yield f"{cell.model} on {cell.task}, {mode}: {failed} samples could not be graded and count as wrong"


def compressed(samples: Iterable[dict[str, object]]) -> bytes:
    """JSON lines, compressed; the same samples give the same bytes."""
    lines = "".join(json.dumps(sample, ensure_ascii=False) + "\n" for sample in samples)
    return gzip.compress(lines.encode(), mtime=0)


def slug(name: str) -> str:
    """A name with only characters that are safe in a file name."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")
