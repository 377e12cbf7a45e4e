"""The commands that run gates, and what becomes of their evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from patchkit.cli.options import (
    device_option,
    in_modes,
    json_option,
    judged,
    python_option,
    release_option,
    runner_option,
    runtime_option,
)


@click.command()
@judged
@in_modes
@json_option
def gate(as_json: bool, **options: Any) -> int:
    """Run every gate on real vLLM.

    Exit code 0 only if all of them pass.
    """
    from patchkit.verbs import gate, scenario_options

    return gate.gate(scenario_options.Request.of(as_json=as_json, **options))


@click.command()
@judged
@in_modes
@click.option("--patch", "patches", multiple=True, metavar="PATCH", help="Knock out only this patch (repeatable).")
@json_option
def knockout(as_json: bool, patches: tuple[str, ...], **options: Any) -> int:
    """Leave each patch out in turn, and see a gate go red.

    Exit code 0 only if a gate catches each, for the reason that its header states.
    """
    from patchkit.verbs import knockout, scenario_options

    return knockout.knockout(scenario_options.Request.of(as_json=as_json, **options), patches)


@click.command()
@release_option
@runtime_option
@device_option
@runner_option
@python_option
@click.option("--jobs", "-j", "workers", type=click.IntRange(1), help="Mutants run at once; on a GPU up to 8.")
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


@click.command()
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


@click.command()
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
