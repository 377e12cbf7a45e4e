"""``patchkit bench accuracy`` and ``patchkit bench matrix``."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml
from msgspec import structs
from rich.markup import escape

from patchkit.bench.accuracy import Campaign, FinishedPlan, load_tasks
from patchkit.bench.accuracy_evidence import AccuracyEvidence
from patchkit.bench.plan import Plan, make_plan, read_plan
from patchkit.bench.ray_shards import ray_shards
from patchkit.bench.shards import DrawError, local_shards
from patchkit.bench.workspace_source import WorkspaceSource
from patchkit.console import err, out, working
from patchkit.environments import ensure_model
from patchkit.errors import PatchkitError
from patchkit.evals.records import BASELINE, Cell
from patchkit.files import check_place, shortest, write_atomically
from patchkit.gates.evidence import default_path, to_json, write_evidence
from patchkit.gates.measurement_allowed import admit
from patchkit.gates.settings import Settings
from patchkit.gates.workspace import Workspace
from patchkit.project import Project, find_project
from patchkit.report.accuracy.page import render_html
from patchkit.report.accuracy.terminal import show_text
from patchkit.verbs.latest import release_for


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


def accuracy(
    *,
    release: str | None,
    model: str | None,
    engine: tuple[str, ...],
    device: str | None,
    url: str | None,
    served: Mapping[str, Any],
    cell: CellOptions,
    options: RunOptions,
) -> int:
    """One model on one task, drawn by workers, or through a server; the options of ``patchkit bench accuracy``."""
    if url is not None:
        from patchkit.verbs.served_accuracy import served_accuracy

        refuse_given("--url", {**given_to_workers(options), "--engine": engine, "--device": device})
        return served_accuracy(url, model or "", release, cell, options, **served)
    refuse_without("--url", {f"--{name.replace('_', '-')}": value for name, value in served.items()})
    if release is None or model is None:
        missing = "--vllm" if release is None else "--model"
        raise PatchkitError(f"{missing} is not given", "give it, or --url of a server that runs")
    release = release_for(release, cell.runtime, "v1", device or "cpu")
    plan = cell.plan(vllm=release, models=[model], device=device or "cpu", engine=pairs(engine, "--engine"))
    return run_plan(plan, options, cell.name(model))


def grouped(options: dict[str, Any]) -> dict[str, Any]:
    """The words of the command line as :func:`accuracy` takes them."""
    groups: dict[str, Any] = {"cell": CellOptions, "options": RunOptions}
    found = {
        group: kind(**{field.name: options.pop(field.name) for field in fields(kind)}) for group, kind in groups.items()
    }
    served = {name: options.pop(name) for name in ("concurrency", "timeout", "retries", "per_minute", "counters")}
    return {**options, **found, "served": served}


def given_to_workers(options: RunOptions) -> dict[str, Any]:
    """Options that only workers understand, those that were not given empty."""
    return {"--python": options.python, "--shards": options.shards > 1, "--ray": options.ray}


def refuse_given(option: str, others: Mapping[str, Any]) -> None:
    """Refuse options that mean nothing together with another."""
    for name, value in others.items():
        if value:
            raise PatchkitError(f"{name} is for workers, and {option} draws through a server", f"leave {name} out")


def refuse_without(option: str, others: Mapping[str, Any]) -> None:
    """Refuse options that mean nothing without another."""
    for name, value in others.items():
        if value is not None:
            raise PatchkitError(f"{name} is for a server, and there is no {option}", f"leave {name} out")


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
    where = place_of(options, settings.project.state, name, plan.vllm, plan.device)
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
                source = WorkspaceSource(plan, workspace, shards)
                measured = Campaign(plan, source, journals(settings.project), options.fresh).measure(tasks)
            except DrawError as error:
                err.print(f"[red]✗[/red] {escape(workspace.without_folders(str(error), workspace.tree))}")
                return 1
    finish(evidence, measured, where, began, options.as_json)
    return 0


def finish(evidence: AccuracyEvidence, measured: FinishedPlan, where: Path, began: float, as_json: bool) -> None:
    """Write what was measured, and show it."""
    evidence.cells, evidence.seconds = measured.cells, round(time.monotonic() - began, 1)
    save(evidence, measured, where)
    for line in ungraded_warnings(measured.cells):
        err.print(f"[yellow]![/yellow] {escape(line)}")
    if as_json:
        print(to_json(evidence), end="")
    else:
        show_text(evidence, out)
        out.print(f"[dim]{shortest(where)}, and beside it .html, .samples.jsonl.gz[/dim]")


def place_of(options: RunOptions, state: Path, name: str, release: str, device: str) -> Path:
    """Where the evidence goes; refused now if it cannot be written, not after the run."""
    where = options.evidence or default_path(state, slug(name), release, device)
    if where.suffix != ".json":
        what = f"--evidence {where}: it is JSON, with .html and .samples.jsonl.gz beside it"
        raise PatchkitError(what, "give it a name that ends in .json")
    check_place(where)
    return where


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


def journals(project: Project) -> Path:
    """The folder of what was drawn."""
    return project.state / "accuracy"


def begin(workspace: Workspace, plan: Plan, unproven: str) -> AccuracyEvidence:
    """The evidence as far as it is known before the first draw."""
    gates = "" if unproven else f"every gate green on this tree, vLLM {plan.vllm}, {plan.device}"
    known = structs.asdict(workspace.circumstances())
    return AccuracyEvidence(**known, unproven=unproven, gates=gates, seed=plan.seed)


def save(evidence: AccuracyEvidence, measured: FinishedPlan, where: Path) -> None:
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
