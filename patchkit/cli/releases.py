"""The commands on releases of vLLM: what there is, what changed, and environments for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from patchkit.cli.options import device_option, json_option, python_option, runner_option, runtime_option

if TYPE_CHECKING:
    from patchkit.model_runner import ModelRunner


@click.command()
@click.argument("releases", metavar="RELEASE...", nargs=-1, required=True)
def lock(releases: tuple[str, ...]) -> int:
    """List the exact packages of a release's environment.

    Asks the package index what vLLM for the CPU needs, and writes that to a file, to be reviewed and committed.
    """
    from patchkit.verbs import environments

    return environments.lock(releases)


@click.command()
@click.option("--vllm", "release", metavar="RELEASE", help="Build this one's, or that of `latest`; else list them.")
@device_option
@runner_option
@click.option(
    "--torch",
    metavar="CUDA",
    help="With CUDA, whose torch: auto (by the driver), cu130 and the like, or index.  [default: auto]",
)
@click.option("--dry-run", is_flag=True, help="With CUDA, only say what would be downloaded.")
@click.option("--remove", is_flag=True, help="Delete the environment instead.")
@json_option
def env(
    release: str | None,
    device: str,
    runner: ModelRunner,
    torch: str | None,
    dry_run: bool,
    remove: bool,
    as_json: bool,
) -> int:
    """Build, list or remove environments with vLLM.

    One with CUDA comes from the package index and PyTorch's; what it will download is said first.
    """
    from patchkit.verbs import environments

    if torch is not None or dry_run:
        environments.check_cuda_options(release, device, remove)
    return environments.env(release, device, remove, as_json, torch, dry_run, runner)


@click.command()
@runtime_option
@click.option("--all", "everything", is_flag=True, help="Old releases and pre-releases too.")
@json_option
def releases(runtime: str, everything: bool, as_json: bool) -> int:
    """List which releases there are, are proven, are new."""
    from patchkit.verbs import releases

    return releases.releases(runtime, everything, as_json)


@click.command()
@click.option("--vllm", "release", metavar="RELEASE", help="The newer release; without it, the newest in the index.")
@click.option("--from", "start", metavar="RELEASE", help="The older one; without it, the last that is proven.")
@click.option("--since", metavar="RELEASE", help="Release by release from this one on.")
@click.option("--python", type=click.Path(path_type=Path, dir_okay=False), help="The newer vLLM is this interpreter's.")
@click.option("--source", "checkout", type=click.Path(path_type=Path, file_okay=False), help="… is this checkout.")
@runtime_option
@click.option("--format", "form", type=click.Choice(["text", "markdown"]), default="text", show_default=True)
@json_option
def drift(as_json: bool, form: str, **options: Any) -> int:
    """Find what changed under the runtime in a vLLM release.

    Reads vLLM's files, installs nothing. Exit code 1 if a break is unpatched, 2 if a declared symbol was in neither
    release.
    """
    from patchkit.verbs import drift

    return drift.drift(form="json" if as_json else form, **options)


@click.command()
@click.option(
    "--check",
    is_flag=True,
    help="Only say where code and runtime.yaml differ; exit code 1 if they do, 2 if code was not read.",
)
@runtime_option
@json_option
def surface(runtime: str, check: bool, as_json: bool) -> int:
    """Show what the runtime's code touches of vLLM.

    Holds it against what runtime.yaml declares.
    """
    from patchkit.verbs import drift

    return drift.surface(runtime, check, as_json)


@click.command()
@runtime_option
@device_option
@python_option
@click.option(
    "--runner",
    "runners",
    multiple=True,
    type=click.Choice(["v1", "v2"]),
    help="Model runner of the gates (repeatable); without it, those with which a release is proven on that device.",
)
@click.option(
    "--gate",
    type=click.Choice(["newest", "all", "none"]),
    default="newest",
    show_default=True,
    help="Which of the new releases are gated, of those that can be.",
)
@click.option("--lock", is_flag=True, help="Make the lock of a release that has none, where there is a CPU wheel.")
@click.option(
    "--minutes",
    "limit",
    type=click.FloatRange(0, min_open=True),
    default=60,
    show_default=True,
    help="Gates that take longer are red.",
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for the report and the evidence.")
@click.option(
    "--known",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The last published report, to see whether anything changed.",
)
@click.option("--move-pin", is_flag=True, help="Add what is proven to proven.yaml, and its evidence to evidence/.")
@click.option("--annotations", is_flag=True, help="Print GitHub's annotations, as in its own workflows.")
@click.option("--dry-run", is_flag=True, help="Ask, read and report only: no gate, no lock, no pin.")
@json_option
def watch(as_json: bool, **options: Any) -> int:
    """Look once for new releases of vLLM, and judge them.

    New are those after the last proven one. Exit code 0 only if all are proven.
    """
    from patchkit.verbs import watch

    return watch.watch(watch.WatchOptions(as_json=as_json, **options))
