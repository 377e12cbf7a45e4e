"""The root of the command line: every command, and what a failure of any looks like."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path

import click

from patchkit import __version__
from patchkit.cli import bench, gates, releases, series, serving
from patchkit.errors import PatchkitError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="patchkit")
def commands() -> None:
    """Keep a research runtime alive on a fast-moving vLLM, and prove that it is."""


APPLIED = (series.apply, series.status, series.init, series.export, series.pin)
RELEASED = (releases.lock, releases.env, releases.releases, releases.drift, releases.surface, releases.watch)
PROVEN = (gates.gate, gates.knockout, gates.mutants, gates.prove, gates.report)
SERVED = (serving.serve, serving.install, serving.uninstall)
for command in (*APPLIED, *RELEASED, *PROVEN, *SERVED, bench.bench):
    commands.add_command(command)


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
