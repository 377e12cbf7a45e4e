"""``patchkit report``: what kind of evidence a file is, and the form that was asked for."""

from __future__ import annotations

from pathlib import Path

import msgspec

from patchkit.console import out
from patchkit.errors import PatchkitError
from patchkit.files import write_atomically
from patchkit.gates.evidence import read_evidence
from patchkit.report import github, junit, markdown, text


class Kind(msgspec.Struct):
    """The one field that every evidence has."""

    kind: str = ""


def report(evidence: Path, form: str, page: Path | None = None) -> int:
    """Print evidence in one form, or write it as a ``page``.

    Of gates, 0 only if they are all green, and every patch left out was caught; of mutants, only if each was killed
    as its header says; of pass@k, 0.

    Raises:
        PatchkitError: no such file, it is not evidence, or this kind has no such form.
    """
    kind = kind_of(evidence)
    if kind == "accuracy":
        return of_accuracy(evidence, form, page)
    if kind == "mutants" and page is None:
        return of_mutants(evidence, form)
    if page is not None:
        raise PatchkitError(f"{evidence} has no page, only pass@k does", "leave --html out, or say --format markdown")
    return of_gates(evidence, form)


def kind_of(path: Path) -> str:
    """The kind of evidence in a file; "" if it does not say, or is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kind).kind
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""  # whoever reads it as evidence says what is wrong with it


def of_gates(path: Path, form: str) -> int:
    """Evidence of ``gate``, ``knockout`` or ``bench``."""
    if form == "table":
        raise PatchkitError(f"{path} has no form table, only pass@k of our own does", "choose markdown")
    record = read_evidence(path)
    if form == "text":
        text.show(record)
    else:
        render = {"markdown": markdown.render, "junit": junit.render, "github": github.render}[form]
        print(render(record), end="")
    return 0 if record.passed else 1


def of_mutants(path: Path, form: str) -> int:
    """Evidence of ``mutants``."""
    from patchkit.gates.mutants_evidence import read_mutants_evidence
    from patchkit.report import mutants

    record = read_mutants_evidence(path)
    if form == "text":
        mutants.show_text(record)
    else:
        forms = {"markdown": mutants.render_markdown, "junit": mutants.render_junit, "github": mutants.render_github}
        print(forms[form](record), end="")
    return 0 if record.passed else 1


def of_accuracy(path: Path, form: str, page: Path | None) -> int:
    """Evidence of ``bench accuracy`` or ``bench matrix``."""
    from patchkit.bench.accuracy_evidence import read_accuracy
    from patchkit.report.accuracy import render_html, render_markdown, render_table, show_text

    record = read_accuracy(path)
    if page is not None:
        write_atomically(page, render_html(record))
        return 0
    if form in ("markdown", "table"):
        print(render_markdown(record) if form == "markdown" else render_table(record), end="")
    else:
        text_only(form, path)
        show_text(record, out)
    return 0


def text_only(form: str, path: Path) -> None:
    """Pass@k is neither a test nor a finding: it has none of their forms."""
    if form != "text":
        raise PatchkitError(f"{path} has no form {form}: pass@k is neither red nor green", "choose text or markdown")
