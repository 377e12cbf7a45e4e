"""``patchkit bench accuracy --url``: pass@k of a model that a server serves."""

from __future__ import annotations

import time
from typing import Any

from msgspec import structs
from rich.markup import escape

from patchkit.bench.accuracy import Campaign, load_tasks
from patchkit.bench.accuracy_evidence import AccuracyEvidence
from patchkit.bench.plan import Plan
from patchkit.bench.server_source import UNKNOWN, ServerSource
from patchkit.bench.shards import DrawError
from patchkit.client import Limits, VLLMClient
from patchkit.client.vllm_client import server_root, without_credentials
from patchkit.console import err
from patchkit.errors import PatchkitError
from patchkit.evals.records import BASELINE
from patchkit.gates.evidence import Hardware, RuntimeUsed, Versions, now, this_command
from patchkit.project import find_project
from patchkit.release import release_name
from patchkit.series.manifest import load_manifest
from patchkit.verbs.accuracy_run import CellOptions, RunOptions, finish, journals, place_of

LIMITS = ("concurrency", "timeout", "retries", "per_minute")
NO_RELEASE = "0"  # a plan needs one; never shown


def served_accuracy(
    url: str,
    model: str,
    release: str | None,
    cell: CellOptions,
    options: RunOptions,
    *,
    counters: str | None,
    **limits: Any,
) -> int:
    """Measure through the server at ``url`` and write the evidence, page and samples; returns 1 if a draw failed.

    Args:
        model: the name under which it is served; the only one if empty.
        release: what the server's vLLM must be; any if not given.
        counters: by which it tells the runtime's counters; as the manifest says if not given.
        limits: those of the client that were given; None for others.
    """
    began = time.monotonic()
    project = find_project()
    runtime = load_manifest(project, cell.runtime)
    method = counters if counters is not None else runtime.served.counters if runtime.served else ""
    given = {name: limits[name] for name in LIMITS if limits[name] is not None}
    with VLLMClient(url, model=model, counters=method, limits=Limits(**given)) as client:
        served, version = client.served(), client.version()
        check_release(client.url, version, release)
        plan = structs.replace(cell.plan(vllm=version or NO_RELEASE, models=[served.name]), vllm=version or UNKNOWN)
        tasks = load_tasks(plan)
        where = place_of(options, project.state, cell.name(served.name), version or UNKNOWN, "served")
        unproven = missing_proof(client.url, plan, options.unproven)
        source = ServerSource(plan, client, runtime)
        evidence = begin(url, plan, version, unproven)
        try:
            measured = Campaign(plan, source, journals(project), options.fresh).measure(tasks)
        except DrawError as error:
            err.print(f"[red]✗[/red] {escape(str(error))}")
            return 1
        evidence.server = source.used()
    finish(evidence, measured, where, began, options.as_json)
    return 0


def check_release(url: str, version: str, release: str | None) -> None:
    """Refuse a server of another release than was asked for, or one that does not say which it is."""
    if release is not None and release_name(release) != version.partition("+")[0]:
        said = f"runs vLLM {version}" if version else "does not say which vLLM it runs"
        raise PatchkitError(f"{url} {said}, and --vllm is {release}", "leave --vllm out, or ask another server")


def missing_proof(url: str, plan: Plan, unproven: bool) -> str:
    """Why no gates stand behind this run; "" for the baseline alone, which needs none.

    Raises:
        PatchkitError: something does, and ``--unproven`` is not given.
    """
    if plan.all_modes == [BASELINE]:
        return ""
    why = f"{url} does not say which tree of {plan.runtime} it runs, so no gates can be held against it"
    if not unproven:
        raise PatchkitError(why, "say --unproven to measure all the same, or draw with workers, without --url")
    return why


def begin(url: str, plan: Plan, version: str, unproven: str) -> AccuracyEvidence:
    """The evidence as far as it is known before the first draw: of the server, only what it says."""
    compared = plan.all_modes != [BASELINE]
    return AccuracyEvidence(
        command=this_command().replace(url, without_credentials(server_root(url))),
        began=now(),
        release=version or UNKNOWN,
        device=UNKNOWN,
        runner="unknown",
        runtime=RuntimeUsed(name=plan.runtime if compared else "", pin=""),
        versions=Versions(vllm=version),
        hardware=Hardware(),
        unproven=unproven,
        seed=plan.seed,
    )
