"""``patchkit bench accuracy`` and ``patchkit bench matrix``."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from msgspec import structs
from rich.markup import escape

from patchkit.bench.accuracy import Campaign, Measured, load_tasks
from patchkit.bench.accuracy_evidence import AccuracyEvidence
from patchkit.bench.plan import Plan, make_plan, read_plan
from patchkit.bench.ray_shards import ray_shards
from patchkit.bench.shards import DrawError, local_shards
from patchkit.console import err, out, working
from patchkit.environments import ensure_model
from patchkit.errors import PatchkitError
from patchkit.evals.records import BASELINE, Cell
from patchkit.files import check_place, shortest, write_atomically
from patchkit.gates.evidence import default_path, to_json, write_evidence
from patchkit.gates.measurement_allowed import admit
from patchkit.gates.settings import Settings
from patchkit.gates.workspace import Workspace
from patchkit.project import find_project
from patchkit.report.accuracy.page import render_html
from patchkit.report.accuracy.text import show_text
from patchkit.series.manifest import load_manifest
from patchkit.verbs.latest import LATEST, chosen_release


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


def accuracy(
    *,
    release: str,
    model: str,
    task: str,
    first: int | None,
    data: str | None,
    grader: str | None,
    n: int,
    modes: str | None,
    trials: int,
    max_tokens: int | None,
    seed: int,
    engine: tuple[str, ...],
    settings: tuple[str, ...],
    device: str,
    runtime: str,
    **options: Any,
) -> int:
    """One model on one task; the options of ``patchkit bench accuracy``."""
    shared, named = by_mode(settings)
    if release == LATEST:
        release = chosen_release(release, load_manifest(find_project(), runtime), "v1", device)
    asked = {"task": task, "first": first, "max_tokens": max_tokens, "grader": grader, "data": data}
    plan = make_plan(
        {
            "vllm": release,
            "models": [model],
            "tasks": [asked],
            "device": device,
            "runtime": runtime,
            "modes": chosen([mode.strip() for mode in modes.split(",")] if modes else [], named),
            "n": n,
            "trials": trials,
            "seed": seed,
            "engine": pairs(engine, "--engine"),
            "settings": shared,
        },
        "bench accuracy",
    )
    size = f"{first}-" if first else ""
    name = f"accuracy-{Path(model).name}-{Path(task).stem}-{size}n{n}-trials{trials}-seed{seed}"
    return run_plan(plan, RunOptions(**options), name)


def matrix(*, plan: Path, **options: Any) -> int:
    """Several models on several tasks, from a plan file."""
    return run_plan(read_plan(plan), RunOptions(**options), plan.stem)


def by_mode(given: Iterable[str]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """``KEY=VALUE`` settings of every mode, and ``MODE:KEY=VALUE`` settings of the mode with that name."""
    shared: dict[str, Any] = {}
    named: dict[str, dict[str, Any]] = {}
    for place, value in pairs(given, "--setting").items():
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


def pairs(given: Iterable[str], option: str) -> dict[str, Any]:
    """``key=value`` texts as a mapping, values read as YAML reads them."""
    found = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise PatchkitError(f"{option} {text}: not of the form key=value", f"e.g. {option} dtype=bfloat16")
        try:
            found[key] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError, RecursionError):
            found[key] = value
    return found


def run_plan(plan: Plan, options: RunOptions, name: str) -> int:
    """Measure a plan and write its evidence, page and samples; returns 1 if a draw failed."""
    began = time.monotonic()
    tasks = load_tasks(plan)
    settings = settings_for(plan, options)
    where = options.evidence or default_path(settings.project.state, slug(name), plan.vllm, plan.device)
    if where.suffix != ".json":
        what = f"--evidence {where}: it is JSON, with .html and .samples.jsonl.gz beside it"
        raise PatchkitError(what, "give it a name that ends in .json")
    check_place(where)
    with Workspace(settings) as workspace:
        unproven = missing_proof(workspace, options.unproven)
        workspace.check()
    with Workspace(replace(settings, variables=hub_variables(plan))) as workspace:
        with working(f"importing vLLM {plan.vllm}"):
            workspace.worker_client.wait_ready()
        evidence = begin(workspace, plan, unproven)
        with (
            ray_shards(workspace, options.shards, options.ray)
            if options.ray
            else local_shards(workspace, options.shards) as shards
        ):
            try:
                measured = Campaign(plan, workspace, shards, options.fresh).measure(tasks)
            except DrawError as error:
                err.print(f"[red]✗[/red] {escape(workspace.without_folders(str(error), workspace.tree))}")
                return 1
    evidence.cells, evidence.seconds = measured.cells, round(time.monotonic() - began, 1)
    save(evidence, measured, where)
    for line in ungraded_warnings(measured.cells):
        err.print(f"[yellow]![/yellow] {escape(line)}")
    if options.as_json:
        print(to_json(evidence), end="")
    else:
        show_text(evidence, out)
        out.print(f"[dim]{shortest(where)}, and beside it .html, .samples.jsonl.gz[/dim]")
    return 0


def settings_for(plan: Plan, options: RunOptions) -> Settings:
    """The workspace's settings, without :func:`hub_variables`."""
    return Settings(find_project(), plan.runtime, plan.vllm, plan.device, options.python, workers=1)


def hub_variables(plan: Plan) -> tuple[tuple[str, str], ...]:
    """Environment variables that let vLLM fetch a model by its id on the hub; makes the embedded models."""
    online = any(not ensure_model(model).is_dir() for model in plan.models)
    return (("HF_HUB_OFFLINE", "0"),) if online else ()


def missing_proof(workspace: Workspace, unproven: bool) -> str:
    """Why the gates do not admit this run, "" if they do; raises PatchkitError unless ``--unproven`` is given."""
    try:
        admit(workspace)
    except PatchkitError as error:
        if not unproven:
            raise PatchkitError(error.what, f"{error.fix}, or say --unproven") from None
        return error.what
    return ""


def begin(workspace: Workspace, plan: Plan, unproven: str) -> AccuracyEvidence:
    """The evidence as far as it is known before the first draw."""
    gates = "" if unproven else f"every gate green on this tree, vLLM {plan.vllm}, {plan.device}"
    known = structs.asdict(workspace.circumstances())
    return AccuracyEvidence(**known, unproven=unproven, gates=gates, seed=plan.seed)


def save(evidence: AccuracyEvidence, measured: Measured, where: Path) -> None:
    """Write the evidence, its page and every sample side by side."""
    write_evidence(where, evidence)
    write_atomically(where.with_suffix(".html"), render_html(evidence))
    write_atomically(where.with_suffix(".samples.jsonl.gz"), compressed(measured.samples))


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
