"""The commands on what is applied: patches, series and trees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from patchkit.cli.options import device_option, json_option, release_option, runtime_option


@click.command()
@release_option
@runtime_option
@device_option
@click.option(
    "--runner",
    type=click.Choice(["v1", "v2"]),
    help="Which of vLLM's model runners it is for; without it, the one that vLLM takes by itself.",
)
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), help="Folder for the patched tree.")
@click.option("--without", multiple=True, metavar="PATCH", help="Leave this patch out, by number or name (repeatable).")
@click.option("--unproven", is_flag=True, help="Exit code 0 although it is known not to work.")
@json_option
def apply(**options: Any) -> int:
    """Lay out the pinned runtime, patched for a release.

    The result is a git tree with a commit per patch. Says whether it is proven on that device and with that model
    runner; exit code 1 if it is known not to work there.
    """
    from patchkit.verbs import series

    return series.apply(**options)


@click.command()
@runtime_option
@json_option
def status(runtime: str, as_json: bool) -> int:
    """Show the pin, the series, and what is applied where."""
    from patchkit.verbs import series

    return series.status(runtime, as_json)


@click.command()
@click.argument("name")
@click.option("--vllm", "release", metavar="RELEASE", help="vLLM release it begins on; else the newest with a lock.")
def init(name: str, release: str | None) -> int:
    """Make a new runtime that passes its gates.

    In patches/NAME: one hook, one patch and one gate of its own, to be replaced by yours.
    """
    from patchkit.verbs import init

    return init.init(name, release)


@click.command()
@click.argument("tree", type=click.Path(path_type=Path, file_okay=False))
@click.option("--runtime", help="Runtime under patches/; by default the only one there.")
def export(tree: Path, runtime: str | None) -> int:
    """Turn the commits of an applied tree into patches.

    Each commit after the first becomes the patch of the same subject or drift number, a new one gets the next number.
    """
    from patchkit.verbs import series

    return series.export(tree, runtime)


@click.command()
@runtime_option
def pin(runtime: str) -> int:
    """Print the tree hash of an embedded upstream."""
    from patchkit.verbs import series

    return series.pin(runtime)
