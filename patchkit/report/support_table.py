"""The support table of a README, and the releases that a workflow gates: both made of what is proven."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from packaging.version import Version

from patchkit.mode import MODES
from patchkit.model_runner import RUNNERS, ModelRunner
from patchkit.report.phrases import short_gpu
from patchkit.series.proven import Proof, ProvenTable

BEGIN = "<!-- made by `patchkit prove`; do not edit -->"
END = "<!-- end of what `patchkit prove` made -->"
COLUMNS: tuple[tuple[str, str, ModelRunner], ...] = (
    ("CPU", "cpu", "v1"),
    ("CPU, second runner", "cpu", "v2"),
    ("CUDA", "cuda", "v1"),
    ("CUDA, second runner", "cuda", "v2"),
)
"""Heading, device and model runner of each column."""
NOTHING = "unknown"


def support_table(table: ProvenTable) -> str:
    """A row for all releases with the same cells, as Markdown; the oldest first."""
    releases = sorted({one.release for one in table.proofs}, key=Version)
    alike: dict[tuple[str, ...], list[str]] = {}
    for release in releases:
        alike.setdefault(_cells(table, release), []).append(release)
    lines = [f"| {', '.join(group)} | {' | '.join(cells)} |" for cells, group in alike.items()]
    headings = ["vLLM", "patches taken", *(heading for heading, _, _ in COLUMNS)]
    return "\n".join([f"| {' | '.join(headings)} |", "|---" * len(headings) + "|", *lines])


def _cells(table: ProvenTable, release: str) -> tuple[str, ...]:
    found = [
        [one for mode in MODES for one in table.of(release, runner, device, mode)] for _, device, runner in COLUMNS
    ]
    taken = next(proofs[0].patches for proofs in found if proofs)
    return (ranges(taken), *map(_cell, found))


def _cell(proofs: Sequence[Proof]) -> str:
    """What the gates found on every GPU, or on the CPU, eagerly and under graphs."""
    return "; ".join(map(_found, proofs)) or NOTHING


def _found(proof: Proof) -> str:
    gpu = f", {short_gpu(proof.gpu)}" if proof.gpu else ""
    graphs = ", graphs" if proof.mode == "graphs" else ""
    return f"{'✓' if proof.green else '✗'} {proof.score}{gpu}{graphs}"


def ranges(numbers: Iterable[int]) -> str:
    """``[1, 2, 3, 6]`` as ``1 to 3, 6``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


def with_table(text: str, table: ProvenTable) -> str:
    """A document with the support table between its two marks; as it is if it has none."""
    before, begin, rest = text.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(END)
    if not begin or not end:
        return text
    return f"{before}{begin}{summary(table)}\n\n{support_table(table)}\n{END}{after}"


def summary(table: ProvenTable) -> str:
    """How many releases are proven, for each column of the table that has one."""
    counts = [
        (heading if mode == "eager" else f"{heading}, {mode}", table.releases(runner, device, mode))
        for heading, device, runner in COLUMNS
        for mode in MODES
    ]
    said = [f"{heading}: {len(found)}, the newest {found[-1]}" for heading, found in counts if found]
    return f"Releases with every gate green: {'; '.join(said)}." if said else "No release is proven."


def matrix(table: ProvenTable) -> list[dict[str, str]]:
    """What a workflow on CPU runners gates: for each set of patches and model runner, the newest proven release."""
    newest: dict[tuple[tuple[int, ...], ModelRunner], str] = {}
    for runner in RUNNERS:
        wanted = ("cpu", runner, "eager")
        proofs = [one for one in table.proofs if one.green and (one.device, one.runner, one.mode) == wanted]
        for one in sorted(proofs, key=lambda one: Version(one.release)):
            newest[one.patches, runner] = one.release
    chosen = sorted(((release, runner) for (_, runner), release in newest.items()), key=lambda one: Version(one[0]))
    return [{"release": release, "runner": runner} for release, runner in chosen]
