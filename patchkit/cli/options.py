"""The options that several commands share, and what adds a group of them to a command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

release_option = click.option(
    "--vllm",
    "release",
    required=True,
    metavar="RELEASE",
    help="vLLM release, e.g. 0.20.0, or `latest`.",
)


def _runtime(context: click.Context, option: click.Parameter, name: str | None) -> str:
    """The runtime that was named, or the project's only one; says so if that is patchkit's own."""
    from patchkit.project import find_project

    project = find_project()
    chosen = name or project.only_runtime()
    if not Path.cwd().is_relative_to(project.root) and not context.resilient_parsing:
        click.echo(f"patchkit: no runtime at or above {Path.cwd()}; using {project.patches / chosen}", err=True)
    return chosen


runtime_option = click.option("--runtime", callback=_runtime, help="Runtime under patches/, if there are several.")
device_option = click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
runner_option = click.option(
    "--runner", type=click.Choice(["v1", "v2"]), default="v1", show_default=True, help="Which of vLLM's model runners."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
python_option = click.option(
    "--python",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Use this interpreter, which already has vLLM, instead of building an environment.",
)


def _engine(context: click.Context, option: click.Parameter, words: tuple[str, ...]) -> tuple[tuple[str, Any], ...]:
    """``name=value`` with a value in YAML."""
    from patchkit.documents import key_values

    found = key_values(words, "--engine")
    for name in found:
        if not name.isidentifier():
            raise click.BadParameter(f"{name!r} is no argument of vllm.LLM")
    return tuple(found.items())


def _mode(context: click.Context, option: click.Parameter, graphs: bool) -> str:
    return "graphs" if graphs else "eager"


def in_modes(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of verbs that judge more than one way of running an engine."""
    graphs = click.option(
        "--graphs",
        "mode",
        is_flag=True,
        callback=_mode,
        help="Compile the forward pass, and on CUDA replay it from graphs; parts that are eager only are left out.",
    )
    engine = click.option(
        "--engine",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_engine,
        help="A setting of vllm.LLM where a part does not give its own, e.g. async_scheduling=false (repeatable).",
    )
    return graphs(engine(command))


def judged(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options shared by every verb that runs scenarios on vLLM."""
    model = click.option("--model", metavar="PATH_OR_HUB_ID", help="Run on this model instead of the embedded ones.")
    only = click.option("--only", multiple=True, metavar="SCENARIO", help="Run only this scenario (repeatable).")
    workers = click.option(
        "--workers", "-n", type=click.IntRange(1), help="Parts of scenarios run at once; on a GPU up to 8."
    )
    evidence = click.option("--evidence", type=click.Path(path_type=Path, dir_okay=False), help="Where the JSON goes.")
    where = (python_option, runner_option, device_option, runtime_option, release_option)
    for option in (evidence, workers, only, model, *where):
        command = option(command)
    return command


def measured(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options shared by ``bench accuracy`` and ``bench matrix``: how a plan is carried out."""
    shards = click.option(
        "--shards", type=click.IntRange(1), default=1, show_default=True, help="Workers, a GPU each, that share a cell."
    )
    ray = click.option(
        "--ray", metavar="ADDRESS", help="Workers on the hosts of a Ray cluster: auto, HOST:PORT, local."
    )
    unproven = click.option("--unproven", is_flag=True, help="Measure although a gate is red or unknown.")
    fresh = click.option("--fresh", is_flag=True, help="Discard what an earlier run left, instead of going on.")
    evidence = click.option(
        "--evidence",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Where the JSON goes; .html and .samples.jsonl.gz go beside it.",
    )
    for option in (json_option, evidence, fresh, unproven, ray, shards, python_option):
        command = option(command)
    return command


def through_a_server(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options with which ``bench accuracy`` draws through a server, and the client's limits."""
    url = click.option("--url", metavar="URL", help="Draw through this server, http://HOST:PORT, instead of workers.")
    concurrency = click.option("--concurrency", type=click.IntRange(1), help="Requests at once.  [default: 32]")
    timeout = click.option(
        "--timeout", type=click.FloatRange(0, min_open=True), help="Seconds for one request.  [default: 600]"
    )
    retries = click.option(
        "--retries",
        type=click.IntRange(0),
        help="How often a request that failed in passing is sent again.  [default: 5]",
    )
    pace = click.option(
        "--per-minute", type=click.IntRange(1), help="Requests begun in a minute; any number if not given."
    )
    counters = click.option(
        "--counters", metavar="METHOD", help="Tells the runtime's counters; else as runtime.yaml says."
    )
    for option in (counters, pace, retries, timeout, concurrency, url):
        command = option(command)
    return command
