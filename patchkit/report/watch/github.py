"""What GitHub gets of a tick: annotations, the job's summary, the step's outputs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from patchkit.errors import PatchkitError
from patchkit.report import github
from patchkit.report.cases import of_gates
from patchkit.report.drift.cases import said, title
from patchkit.report.github import command
from patchkit.report.watch import markdown
from patchkit.watch.tick import NewRelease, Tick


def annotate(tick: Tick, stream: TextIO) -> None:
    """A line for each break that no patch fixes and each red gate, and one for the verdict."""
    for line in lines(tick):
        print(line, file=stream)


def lines(tick: Tick) -> Iterator[str]:
    """Errors first: GitHub shows only ten of each kind."""
    found = [line for one in tick.news for line in _of(one)]
    level = {"green": "notice", "attention": "warning", "unfinished": "error"}[tick.state]
    found.append(command(level, tick.title, tick.verdict))
    yield from sorted(found, key=lambda line: not line.startswith("::error"))


def _of(one: NewRelease) -> Iterator[str]:
    for finding in one.unpatched:
        level = "error" if finding.severity == "silent" else "warning"
        yield command(level, title(finding, one.release), said(finding))
    for found in one.judged:
        if not found.passed:
            yield from github.lines(of_gates(found))
    if one.outcome and one.outcome != "proven":
        yield command("warning" if one.outcome == "unproven" else "error", f"vLLM {one.release} {one.outcome}", one.why)


def write_outputs(tick: Tick, changed: bool) -> None:
    """Append to the files that GitHub's runner names, if any: the job's summary and the step's outputs.

    Raises:
        PatchkitError: one of them cannot be written.
    """
    _append("GITHUB_STEP_SUMMARY", markdown.render(tick))
    outputs = {
        "state": tick.state,
        "changed": str(changed).lower(),
        "title": tick.title,
        "proven": " ".join(tick.proven),
    }
    _append("GITHUB_OUTPUT", "".join(f"{name}={' '.join(value.split())}\n" for name, value in outputs.items()))


def _append(variable: str, text: str) -> None:
    named = os.environ.get(variable)
    if not named:
        return
    try:
        with Path(named).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise PatchkitError(f"cannot write ${variable}, {named}: {error.strerror or error}") from error
