"""``patchkit bench accuracy`` and ``patchkit bench matrix``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from msgspec import structs
from rich.markup import escape

from patchkit.bench.accuracy import Campaign, load_tasks
from patchkit.bench.accuracy_evidence import AccuracyEvidence
from patchkit.bench.plan import Plan, read_plan
from patchkit.bench.ray_shards import ray_shards
from patchkit.bench.shards import DrawError, local_shards
from patchkit.bench.workspace_source import WorkspaceSource
from patchkit.console import err, working
from patchkit.documents import key_values
from patchkit.environments import ensure_model
from patchkit.errors import PatchkitError
from patchkit.gates.measurement_allowed import admit
from patchkit.gates.settings import Settings
from patchkit.gates.workspace import Workspace
from patchkit.project import find_project
from patchkit.verbs.accuracy_run import CellOptions, RunOptions, finish, journals, place_of
from patchkit.verbs.latest import release_for
from patchkit.verbs.served_accuracy import served_accuracy


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
        refuse_given("--url", {**given_to_workers(options), "--engine": engine, "--device": device})
        return served_accuracy(url, model or "", release, cell, options, **served)
    refuse_without("--url", {f"--{name.replace('_', '-')}": value for name, value in served.items()})
    if release is None or model is None:
        missing = "--vllm" if release is None else "--model"
        raise PatchkitError(f"{missing} is not given", "give it, or --url of a server that runs")
    release = release_for(release, cell.runtime, "v1", device or "cpu")
    plan = cell.plan(vllm=release, models=[model], device=device or "cpu", engine=key_values(engine, "--engine"))
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
