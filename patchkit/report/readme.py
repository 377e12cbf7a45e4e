"""What a README shows of the newest proven release: it in the commands, and what a run of its gates prints."""

from __future__ import annotations

import re

from rich.text import Text

from patchkit.gates.evidence import Evidence
from patchkit.report.phrases import headline
from patchkit.report.progress_lines import closing_line, verdict_line
from patchkit.series.proven import ProvenTable

BEGIN = "<!-- `patchkit prove` keeps the releases of the commands below -->"
END = "<!-- end of these commands -->"
RELEASE = re.compile(r"(?<=--vllm )\d[\w.]*\w|(?<=trees/)([\w-]+/)\d[\w.]*\w")
RUN = re.compile(r"^\$ \S+ gate --vllm \S+ --evidence \S+\n.*?(?=^```$)", re.MULTILINE | re.DOTALL)
SHOWN = 4  # verdicts, and the last one


def with_newest_release(text: str, table: ProvenTable) -> str:
    """A document whose commands between the marks are of the newest proven release, on CUDA where a line says so.

    As it is without the marks, or if nothing is proven.
    """
    before, begin, rest = text.partition(BEGIN)
    commands, end, after = rest.partition(END)
    if not begin or not end or not table.releases():
        return text
    lines = [_renamed(line, table) for line in commands.splitlines(keepends=True)]
    return f"{before}{begin}{''.join(lines)}{end}{after}"


def _renamed(line: str, table: ProvenTable) -> str:
    newest = table.newest("v1", "cuda" if "--device cuda" in line else "cpu")
    return RELEASE.sub(lambda found: f"{found[1] or ''}{newest}", line)


def with_example_run(text: str, evidence: Evidence, name: str) -> str:
    """A document whose example run of the gates is the one in ``evidence/NAME``; as it is if it has none."""
    return RUN.sub(lambda _: example_run(evidence, name), text, count=1)


def example_run(evidence: Evidence, name: str) -> str:
    """What ``gate`` printed, without the verdicts in the middle."""
    verdicts = evidence.verdicts
    width = max(len(verdict.scenario) for verdict in verdicts)
    lines = [Text.from_markup(verdict_line(verdict, width)).plain for verdict in verdicts]
    if len(lines) > SHOWN + 1:
        lines = [*lines[:SHOWN], "…", lines[-1]]
    where = f"evidence/{name}"
    command = f"$ ./go gate --vllm {evidence.release} --evidence {where}"
    last = Text.from_markup(closing_line(evidence, len(verdicts), where)).plain
    return "".join(f"{line}\n" for line in (command, headline(evidence), *lines, last))
