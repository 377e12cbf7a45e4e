"""The commands that run the runtime elsewhere: as a server, or in an interpreter of yours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from patchkit.cli.options import device_option, python_option, release_option, runner_option, runtime_option


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@release_option
@runtime_option
@device_option
@runner_option
@python_option
@click.option("--setting", "settings", multiple=True, metavar="KEY=VALUE", help="Of the runtime, by name (repeatable).")
@click.option("--unproven", is_flag=True, help="Serve although a gate is red or unknown.")
@click.argument("model", metavar="MODEL")
@click.argument("arguments", metavar="[OPTIONS OF VLLM SERVE]...", nargs=-1, type=click.UNPROCESSED)
def serve(**options: Any) -> int:
    """Serve a model with the runtime, as `vllm serve` does.

    MODEL is a folder, a hub id, or smollm2-135m. Everything behind it is passed on to `vllm serve`.
    """
    from patchkit.verbs import serve

    serve.serve(serve.ServeOptions(**options))


@click.command()
@release_option
@runtime_option
@click.option(
    "--python",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The interpreter, which has that vLLM.",
)
def install(release: str, runtime: str, python: Path) -> int:
    """Install the patched runtime where your own vLLM is.

    vLLM then starts it in each of its processes, if its environment variable is set.
    """
    from patchkit.verbs import install

    return install.install(release, runtime, python)


@click.command()
@runtime_option
@click.option(
    "--python", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The interpreter that has it."
)
def uninstall(runtime: str, python: Path) -> int:
    """Take the runtime out of an interpreter again."""
    from patchkit.verbs import install

    return install.uninstall(runtime, python)
