"""The command line: a verb per command, no logic. Verbs import their modules late, so that ``--help`` stays instant."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from patchkit import __version__
from patchkit.cli_options import (
    device_option,
    json_option,
    judged,
    measured,
    python_option,
    release_option,
    runner_option,
    runtime_option,
    through_a_server,
)
from patchkit.errors import PatchkitError

if TYPE_CHECKING:
    from patchkit.model_runner import ModelRunner


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="patchkit")
def commands() -> None:
    """Keep a research runtime alive on a fast-moving vLLM, and prove that it is."""


@commands.command()
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


@commands.command()
@runtime_option
@json_option
def status(runtime: str, as_json: bool) -> int:
    """Show the pin, the series, and what is applied where."""
    from patchkit.verbs import series

    return series.status(runtime, as_json)


@commands.command()
@click.argument("name")
@click.option("--vllm", "release", metavar="RELEASE", help="vLLM release it begins on; else the newest with a lock.")
def init(name: str, release: str | None) -> int:
    """Make a new runtime that passes its gates.

    In patches/NAME: one hook, one patch and one gate of its own, to be replaced by yours.
    """
    from patchkit.verbs import init

    return init.init(name, release)


@commands.command()
@click.argument("tree", type=click.Path(path_type=Path, file_okay=False))
@click.option("--runtime", help="Runtime under patches/; by default the only one there.")
def export(tree: Path, runtime: str | None) -> int:
    """Turn the commits of an applied tree into patches.

    Each commit after the first becomes the patch of the same subject or drift number, a new one gets the next number.
    """
    from patchkit.verbs import series

    return series.export(tree, runtime)


@commands.command()
@runtime_option
def pin(runtime: str) -> int:
    """Print the tree hash of an embedded upstream."""
    from patchkit.verbs import series

    return series.pin(runtime)


@commands.command()
@click.argument("releases", metavar="RELEASE...", nargs=-1, required=True)
def lock(releases: tuple[str, ...]) -> int:
    """List the exact packages of a release's environment.

    Asks the package index what vLLM for the CPU needs, and writes that to a file, to be reviewed and committed.
    """
    from patchkit.verbs import environments

    return environments.lock(releases)


@commands.command()
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


@commands.command()
@judged
@json_option
def gate(as_json: bool, **options: Any) -> int:
    """Run every gate on real vLLM.

    Exit code 0 only if all of them pass.
    """
    from patchkit.verbs import gate, scenario_options

    return gate.gate(scenario_options.Request.of(as_json=as_json, **options))


@commands.command()
@judged
@click.option("--patch", "patches", multiple=True, metavar="PATCH", help="Knock out only this patch (repeatable).")
@json_option
def knockout(as_json: bool, patches: tuple[str, ...], **options: Any) -> int:
    """Leave each patch out in turn, and see a gate go red.

    Exit code 0 only if a gate catches each, for the reason that its header states.
    """
    from patchkit.verbs import knockout, scenario_options

    return knockout.knockout(scenario_options.Request.of(as_json=as_json, **options), patches)


@commands.command()
@release_option
@runtime_option
@device_option
@runner_option
@python_option
@click.option("--jobs", "-j", "workers", type=click.IntRange(1), help="Mutants run at once; on GPUs, one a GPU.")
@click.option(
    "--mutant", "names", multiple=True, metavar="MUTANT", help="Only this one, by number or name (repeatable)."
)
@click.option("--family", "families", multiple=True, metavar="FAMILY", help="Only those of this family (repeatable).")
@click.option("--sample", type=click.IntRange(1), metavar="N", help="Only so many of them, spread over the families.")
@click.option("--seed", type=int, default=0, show_default=True, help="Which sample.")
@click.option("--check", is_flag=True, help="Only see that they are proper mutants, and list them; runs no vLLM.")
@click.option("--evidence", type=click.Path(path_type=Path, dir_okay=False), help="Where the JSON goes.")
@json_option
def mutants(
    names: tuple[str, ...],
    families: tuple[str, ...],
    sample: int | None,
    seed: int,
    check: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Make the runtime wrong on purpose, one place at a time.

    Exit code 0 only if a gate kills every mutant.
    """
    from patchkit.series.mutants import MutantSelection
    from patchkit.verbs import mutants, scenario_options

    return mutants.mutants(
        scenario_options.Request.of(as_json=as_json, **options), MutantSelection(names, families, sample, seed), check
    )


@commands.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
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


@commands.command()
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


@commands.command()
@runtime_option
@click.option(
    "--python", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The interpreter that has it."
)
def uninstall(runtime: str, python: Path) -> int:
    """Take the runtime out of an interpreter again."""
    from patchkit.verbs import install

    return install.uninstall(runtime, python)


class Bench(click.Group):
    """Without one of its words, ``patchkit bench …`` is ``patchkit bench throughput …``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = args and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else ["throughput", *args])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The words, and the options that ``throughput`` takes without being named."""
        self.format_commands(ctx, formatter)
        default = self.commands["throughput"]
        records = [option.get_help_record(click.Context(default)) for option in default.get_params(ctx)]
        with formatter.section("Options of throughput"):
            formatter.write_dl([record for record in records if record])


@commands.group(cls=Bench)
def bench() -> None:
    """Measure throughput (the default) or pass@k.

    With and without the runtime. Refuses while a gate of this release and device is red or unknown.
    """


@bench.command()
@judged
@json_option
def throughput(as_json: bool, **options: Any) -> int:
    """Measure throughput with and without the runtime."""
    from patchkit.verbs import bench, scenario_options

    return bench.bench(scenario_options.Request.of(as_json=as_json, **options))


@bench.command()
@click.option("--vllm", "release", metavar="RELEASE", help="vLLM release, e.g. 0.20.0; with --url the server says it.")
@click.option(
    "--model",
    metavar="PATH_OR_HUB_ID",
    help="A folder, a hub id, or smollm2-135m; with --url its name there.",
)
@click.option("--task", required=True, metavar="TASK", help="humaneval, aime2024, arithmetic-LEVEL, or a .jsonl file.")
@click.option("--first", type=click.IntRange(1), help="Only this many of its problems.")
@click.option("--data", metavar="FILE", help="Where the task's problems are, if it does not bring them.")
@click.option("--grader", metavar="MODULE:NAME", help="Who checks the answers of a .jsonl file.")
@click.option("--n", type=click.IntRange(1), default=16, show_default=True, help="Samples a problem.")
@click.option("--modes", metavar="MODE,MODE", help="baseline, and the runtime or the modes of --setting by name.")
@click.option("--trials", type=click.IntRange(1), default=1, show_default=True, help="Two or more measure the noise.")
@click.option("--max-tokens", type=click.IntRange(1), help="Longest answer; the task says if not given.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="All samples are seeded from it.")
@click.option("--engine", multiple=True, metavar="KEY=VALUE", help="Of vllm.LLM, e.g. dtype=bfloat16 (repeatable).")
@click.option(
    "--setting",
    "settings",
    multiple=True,
    metavar="[MODE:]KEY=VALUE",
    help="Of the runtime; with MODE:, of a mode of that name, compared with the same baseline (repeatable).",
)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="Where workers run.  [default: cpu]")
@runtime_option
@through_a_server
@measured
def accuracy(**options: Any) -> int:
    """Measure pass@k of one model on one task.

    Says what the runtime does to it. A run that was stopped goes on where it was, with the same command.
    """
    from patchkit.verbs import accuracy

    return accuracy.accuracy(**accuracy.grouped(options))


@bench.command()
@click.argument("plan", metavar="MATRIX.yaml", type=click.Path(path_type=Path, dir_okay=False))
@measured
def matrix(**options: Any) -> int:
    """Measure pass@k of several models on several tasks.

    A file says which; there is one report.
    """
    from patchkit.verbs import accuracy

    return accuracy.matrix(**options)


@commands.command()
@click.argument("files", nargs=-1, metavar="[EVIDENCE]...", type=click.Path(path_type=Path, dir_okay=False))
@runtime_option
@click.option("--check", is_flag=True, help="Only see whether they are up to date; exit code 1 if not.")
@click.option("--matrix", "as_matrix", is_flag=True, help="Only print the releases that a workflow gates, as JSON.")
def prove(files: tuple[Path, ...], runtime: str, check: bool, as_matrix: bool) -> int:
    """Call releases proven, by evidence of their gates.

    Makes proven.yaml beside the runtime's manifest, and the support table of the README, of all evidence in evidence/
    or of the files that are named.
    """
    from patchkit.verbs import prove

    return prove.prove(runtime, files, check, as_matrix)


@commands.command()
@runtime_option
@click.option("--all", "everything", is_flag=True, help="Old releases and pre-releases too.")
@json_option
def releases(runtime: str, everything: bool, as_json: bool) -> int:
    """List which releases there are, are proven, are new."""
    from patchkit.verbs import releases

    return releases.releases(runtime, everything, as_json)


@commands.command()
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


@commands.command()
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


@commands.command()
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


@commands.command()
@click.argument(
    "evidence", nargs=-1, required=True, metavar="EVIDENCE...", type=click.Path(path_type=Path, dir_okay=False)
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "table", "junit", "github"]),
    default="text",
    help="table: of pass@k the matrix alone, for a README.",
)
@click.option(
    "--html",
    "page",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write all of it as a static site; or, with FILE.html, pass@k as one page.",
)
def report(evidence: tuple[Path, ...], form: str, page: Path | None) -> int:
    """Render evidence for people, for CI or for GitHub.

    Any number of files is a site: --html DIR.
    """
    from patchkit.verbs import report as verbs

    return verbs.report(evidence, form, page)


def main() -> None:
    """Run a verb; bad input is one line and exit code 2, Ctrl-C is 130."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # without ✓ in the encoding, \u2713 still differs from ✗
    try:
        code = commands.main(prog_name="patchkit", standalone_mode=False)
        if sys.stdout:
            sys.stdout.flush()
    except PatchkitError as error:
        click.echo(f"patchkit: {error}", err=True)
        code = 2
    except click.UsageError as error:
        error.show()
        code = 2
    except OSError as error:
        code = _cannot_go_on(error)
    except (KeyboardInterrupt, click.Abort):
        click.echo("patchkit: interrupted", err=True)
        code = 130
    sys.exit(code)


def _cannot_go_on(error: OSError) -> int:
    """The output has nowhere to go, or this folder is gone. A reader that had enough, such as ``head``, is no news."""
    try:
        sys.stdout.flush()
    except OSError:  # Python would complain once more when it flushes at its end
        with suppress(OSError), Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return 1
    place = f" ({error.filename})" if error.filename else ""
    click.echo(f"patchkit: cannot go on: {error.strerror or error}{place}", err=True)
    return 2
