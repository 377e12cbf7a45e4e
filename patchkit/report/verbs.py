"""``patchkit report``."""

from __future__ import annotations

from pathlib import Path

from patchkit.errors import PatchkitError
from patchkit.gates.evidence import Evidence, read_evidence
from patchkit.report import github, junit, markdown, text


def report(evidence: Path, form: str) -> int:
    """Print evidence in one form; 0 only if it is all green, and every patch left out was caught.

    Raises:
        PatchkitError: no such file, or it is not evidence.
    """
    record = _read(evidence)
    if form == "text":
        text.show(record)
    else:
        render = {"markdown": markdown.render, "junit": junit.render, "github": github.render}[form]
        print(render(record), end="")
    return 0 if record.passed else 1


def _read(path: Path) -> Evidence:
    try:
        return read_evidence(path)
    except RecursionError:
        raise PatchkitError(f"{path} is not patchkit's evidence: it is nested without end") from None
