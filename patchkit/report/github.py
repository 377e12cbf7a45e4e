"""Workflow commands that GitHub shows beside a run."""

from __future__ import annotations

from collections.abc import Iterator

from patchkit.report.cases import Judged


def render(judged: Judged) -> str:
    return "".join(f"{line}\n" for line in lines(judged))


def lines(judged: Judged) -> Iterator[str]:
    """What did not pass, the errors first; then warnings, and the verdict."""
    failed = [case for suite in judged.suites for case in suite.cases if not case.passed]
    for case in sorted(failed, key=lambda case: case.level != "error"):
        yield command(case.level, case.title, case.message)
    for title, said in judged.warnings:
        yield command("warning", title, said)
    yield command("notice" if judged.passed else "error", judged.title, judged.verdict)


def command(level: str, title: str, message: str) -> str:
    """``::error title=…::…`` on one line, escaped as GitHub's runner undoes it."""
    return f"::{level} title={escaped(title).replace(':', '%3A').replace(',', '%2C')}::{escaped(message)}"


def escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
