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
from patchkit.evals.record import BASELINE, Cell
from patchkit.files import check_place, shortest, write_atomically
from patchkit.gates.admission import admit
from patchkit.gates.evidence import default_path, to_json, write_evidence
from patchkit.gates.rig import Rig
from patchkit.gates.settings import Settings
from patchkit.project import find_project
from patchkit.report.accuracy.page import render_html
from patchkit.report.accuracy.text import show_text


@dataclass(frozen=True, kw_only=True)
class How:
    """How a plan is carried out; see ``patchkit bench accuracy --help``."""

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
    **how: Any,
) -> int:
    """One model on one task; the options of ``patchkit bench accuracy``."""
    shared, named = by_mode(settings)
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
    return carry_out(plan, How(**how), name)


def matrix(*, plan: Path, **how: Any) -> int:
    """Several models on several tasks, as a file says."""
    return carry_out(read_plan(plan), How(**how), plan.stem)


def by_mode(given: Iterable[str]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """``KEY=VALUE`` settings of every mode, and ``MODE:KEY=VALUE`` settings of a mode that is so called."""
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
    """What ``--modes`` chooses of the modes that have a name; all of them if it says nothing."""
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


def carry_out(plan: Plan, how: How, name: str) -> int:
    """Measure a plan and leave its evidence, its page and its samples; 1 if a draw broke."""
    began = time.monotonic()
    tasks = load_tasks(plan)
    settings = settings_for(plan, how)
    where = how.evidence or default_path(settings.project.state, slug(name), plan.vllm, plan.device)
    if where.suffix != ".json":
        what = f"--evidence {where}: it is JSON, with .html and .samples.jsonl.gz beside it"
        raise PatchkitError(what, "give it a name that ends in .json")
    check_place(where)
    with Rig(settings) as rig:
        unproven = admitted(rig, how.unproven)
        rig.check()
    with Rig(replace(settings, variables=hub_variables(plan))) as rig:
        with working(f"importing vLLM {plan.vllm}"):
            rig.worker_client.wait_ready()
        evidence = begin(rig, plan, unproven)
        with ray_shards(rig, how.shards, how.ray) if how.ray else local_shards(rig, how.shards) as shards:
            try:
                measured = Campaign(plan, rig, shards, how.fresh).measure(tasks)
            except DrawError as error:
                err.print(f"[red]✗[/red] {escape(rig.without_folders(str(error), rig.tree))}")
                return 1
    evidence.cells, evidence.seconds = measured.cells, round(time.monotonic() - began, 1)
    leave(evidence, measured, where)
    for line in not_graded(measured.cells):
        err.print(f"[yellow]![/yellow] {escape(line)}")
    if how.as_json:
        print(to_json(evidence), end="")
    else:
        show_text(evidence, out)
        out.print(f"[dim]{shortest(where)}, and beside it .html, .samples.jsonl.gz[/dim]")
    return 0


def settings_for(plan: Plan, how: How) -> Settings:
    """The rig's settings, but for :func:`hub_variables`."""
    return Settings(find_project(), plan.runtime, plan.vllm, plan.device, how.python, workers=1)


def hub_variables(plan: Plan) -> tuple[tuple[str, str], ...]:
    """What the worker's environment needs so that vLLM fetches a model that is an id on the hub; makes the others."""
    online = any(not ensure_model(model).is_dir() for model in plan.models)
    return (("HF_HUB_OFFLINE", "0"),) if online else ()


def admitted(rig: Rig, unproven: bool) -> str:
    """Why the gates do not admit this run, "" if they do; a PatchkitError unless the user said ``--unproven``."""
    try:
        admit(rig)
    except PatchkitError as error:
        if not unproven:
            raise PatchkitError(error.what, f"{error.fix}, or say --unproven") from None
        return error.what
    return ""


def begin(rig: Rig, plan: Plan, unproven: str) -> AccuracyEvidence:
    """What can be said before anything is drawn."""
    gates = "" if unproven else f"every gate green on this tree, vLLM {plan.vllm}, {plan.device}"
    known = structs.asdict(rig.circumstances())
    return AccuracyEvidence(**known, unproven=unproven, gates=gates, seed=plan.seed)


def leave(evidence: AccuracyEvidence, measured: Measured, where: Path) -> None:
    """The evidence, its page, and every sample, side by side."""
    write_evidence(where, evidence)
    write_atomically(where.with_suffix(".html"), render_html(evidence))
    write_atomically(where.with_suffix(".samples.jsonl.gz"), packed(measured.samples))


def not_graded(cells: Iterable[Cell]) -> Iterator[str]:
    """Where graders failed: such samples count as wrong, and are not the model's fault."""
    for cell in cells:
        for mode, trials in cell.modes.items():
            failed = sum(trial.ungraded for trial in trials)
            if failed:
                yield f"{cell.model} on {cell.task}, {mode}: {failed} samples could not be graded and count as wrong"


def packed(samples: Iterable[dict[str, object]]) -> bytes:
    """JSON lines, compressed; the same samples give the same bytes."""
    lines = "".join(json.dumps(sample, ensure_ascii=False) + "\n" for sample in samples)
    return gzip.compress(lines.encode(), mtime=0)


def slug(name: str) -> str:
    """A name that can stand in a file name."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")
