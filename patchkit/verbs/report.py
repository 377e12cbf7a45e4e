"""``patchkit report``: what kind of evidence a file is, and the form that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape

from patchkit.console import out
from patchkit.errors import PatchkitError
from patchkit.files import write_atomically
from patchkit.gates.evidence import read_evidence
from patchkit.plural import counted
from patchkit.report import cases, github, junit, markdown, terminal

CASES = {"junit": junit.render, "github": github.render}
OTHERS = {"watch": "the report of a watch", "published": "a published table"}


def report(paths: Sequence[Path], form: str, page: Path | None = None) -> int:
    """Print evidence in one form, or write it as a ``page``, or all of it as a site.

    Args:
        page: a file that ends in .html, or the folder of a site.

    Of gates, 0 only if they are all green, and every patch left out was caught; of mutants, only if each was killed
    as its header says; of a drift, only if every break is patched; of throughput, only if every row is a figure; of
    pass@k, 0.

    Raises:
        PatchkitError: no such file, it is not evidence, or this kind has no such form.
    """
    if page is not None and page.suffix.lower() != ".html":
        return of_all(paths, page)
    if len(paths) > 1:
        raise PatchkitError(f"{len(paths)} files of evidence at once are a site", "say --html DIR, or name one file")
    (evidence,) = paths
    kind = kind_of(evidence)
    if kind == "accuracy":
        return of_accuracy(evidence, form, page)
    if kind == "throughput" and page is None:
        return of_throughput(evidence, form)
    if page is not None:
        raise PatchkitError(f"{evidence} has no page of its own, only pass@k does", "for a site say --html DIR")
    if kind == "mutants":
        return of_mutants(evidence, form)
    if kind == "drift":
        return of_drift(evidence, form)
    if kind in ("watch", "published"):
        raise PatchkitError(
            f"{evidence} is {OTHERS[kind]}, which is shown only as part of a site",
            f"say `patchkit report {evidence} --html site`",
        )
    return of_gates(evidence, form)


def of_all(paths: Sequence[Path], folder: Path) -> int:
    """Evidence of any kinds, as a site."""
    from patchkit.report.site import build_site  # Jinja is behind it

    front = build_site(paths, folder)
    out.print(f"{counted(len(paths), 'evidence file')} as a site: {escape(str(front))}", soft_wrap=True)
    return 0


def kind_of(path: Path) -> str:
    """The kind of evidence in a file; "" if it does not say, is none, or cannot be read."""
    from patchkit.report.site.sources import kind_of

    try:
        return kind_of(path)
    except PatchkitError:
        return ""  # whoever reads it as evidence says what is wrong with it


def of_gates(path: Path, form: str) -> int:
    """Evidence of ``gate``, ``knockout`` or ``bench``."""
    no_table(form, path)
    record = read_evidence(path)
    if form == "text":
        terminal.show(record)
    else:
        print(markdown.render(record) if form == "markdown" else CASES[form](cases.of_gates(record)), end="")
    return 0 if record.passed else 1


def of_mutants(path: Path, form: str) -> int:
    """Evidence of ``mutants``."""
    from patchkit.gates.mutants_evidence import read_mutants_evidence
    from patchkit.report.mutants import markdown as mutants_markdown
    from patchkit.report.mutants.cases import of_mutants as mutants_cases
    from patchkit.report.mutants.terminal import show_text

    no_table(form, path)
    record = read_mutants_evidence(path)
    if form == "text":
        show_text(record)
    else:
        print(mutants_markdown.render(record) if form == "markdown" else CASES[form](mutants_cases(record)), end="")
    return 0 if record.passed else 1


def of_throughput(path: Path, form: str) -> int:
    """Evidence of ``bench throughput``."""
    from patchkit.bench.throughput_evidence import read_throughput
    from patchkit.report.throughput import markdown as throughput_markdown
    from patchkit.report.throughput import terminal as throughput_terminal
    from patchkit.report.throughput.cases import of_throughput as throughput_cases

    record = read_throughput(path)
    forms = {"markdown": throughput_markdown.render, "table": throughput_markdown.render_table}
    if form in forms:
        print(forms[form](record), end="")
    elif form == "text":
        throughput_terminal.show_text(record, out)
    else:
        print(CASES[form](throughput_cases(record)), end="")
    return 0 if record.passed else 1


def of_drift(path: Path, form: str) -> int:
    """What ``drift --json`` said: of a pair of releases, or with ``--since`` of a timeline."""
    from patchkit.drift.drift import read_drifts
    from patchkit.report.drift import markdown as drift_markdown
    from patchkit.report.drift import terminal as drift_text
    from patchkit.report.drift.cases import of_drifts

    no_table(form, path)
    drifts = read_drifts(path)
    if form != "text":
        print(drift_markdown.render(drifts) if form == "markdown" else CASES[form](of_drifts(drifts)), end="")
    elif len(drifts) == 1:
        drift_text.show(drifts[0])
    else:
        drift_text.show_timeline(drifts)
    return int(any(one.unpatched for one in drifts))


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


def no_table(form: str, path: Path) -> None:
    """A table that can stand in a document is one of figures."""
    if form == "table":
        raise PatchkitError(f"{path} has no form table, only pass@k and throughput have", "choose markdown")


def text_only(form: str, path: Path) -> None:
    """Pass@k is neither a test nor a finding: it has none of their forms."""
    if form != "text":
        raise PatchkitError(f"{path} has no form {form}: pass@k is neither red nor green", "choose text or markdown")
