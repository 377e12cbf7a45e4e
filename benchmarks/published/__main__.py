"""The verdicts on a published table of pass@k: ``python benchmarks/published TABLE.json [--format markdown]``."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from published_table import read_published
from published_words import markdown, text

from patchkit.errors import PatchkitError


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["text", "markdown"]), default="text", show_default=True)
def main(table: Path, form: str) -> None:
    """Judge each cell of a published TABLE, whose rates are known, and perhaps not which problems changed."""
    try:
        published = read_published(table)
    except PatchkitError as error:
        print(f"patchkit: {error}", file=sys.stderr)
        sys.exit(2)
    print((markdown if form == "markdown" else text)(published), end="")


if __name__ == "__main__":
    main(prog_name="python benchmarks/published")
