"""What ``patchkit bench accuracy`` and ``patchkit bench matrix`` leave behind: every cell, judged, in one JSON file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from patchkit.errors import PatchkitError
from patchkit.evals.records import BASELINE, Cell, Throughput, Trial
from patchkit.files import read_as
from patchkit.gates.evidence import Circumstances

MOST_SAMPLES = 10_000  # of a problem; the statistics hold a figure for every k and every count in memory


class ServerUsed(msgspec.Struct, kw_only=True):
    """The server that samples were drawn through. What it did not say is empty, and unknown.

    Attributes:
        url: without credentials.
        model: the name under which it serves it.
        version: its vLLM.
        requests: settings of the runtime that each request of a mode carried (``vllm_xargs``), by mode.
        concurrency, timeout, retries, per_minute: the client's limits; None where there was none.
        repeated: requests that were sent again after they had failed in passing.
    """

    url: str
    model: str
    version: str = ""
    requests: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    concurrency: int = 1
    timeout: float = 0.0
    retries: int = 0
    per_minute: int | None = None
    repeated: int = 0


class AccuracyEvidence(Circumstances, kw_only=True):
    """One run of ``bench accuracy`` or ``bench matrix``.

    Attributes:
        unproven: why the gates did not admit this run, which was made all the same; empty if they did.
        gates: which evidence admitted it, in one line.
        seed: the seed of all samples.
        server: what the samples were drawn through; None where workers of our own drew them.
    """

    kind: Literal["accuracy"] = "accuracy"
    unproven: str = ""
    gates: str = ""
    seed: int = 0
    cells: list[Cell] = msgspec.field(default_factory=list)
    server: ServerUsed | None = None


def unobserved(evidence: AccuracyEvidence) -> list[str]:
    """Modes that a server drew without its runtime's counters in every trial: nothing shows it at work."""
    modes = dict.fromkeys(mode for cell in evidence.cells for mode in cell.modes if mode != BASELINE)
    if evidence.server is None:
        return []
    return [
        mode
        for mode in modes
        if not all(trial.counters for cell in evidence.cells for trial in cell.modes.get(mode, []))
    ]


def read_accuracy(path: Path) -> AccuracyEvidence:
    """Read it back, with curves and judgements worked out from its counts again, whatever the file says of them.

    Raises:
        PatchkitError: the file is something else, or has counts that cannot be.
    """
    evidence = read_as(AccuracyEvidence, path, "evidence of an accuracy run")
    for cell in evidence.cells:
        for wrong in _contradictions(cell):
            what = f"{path}: {cell.model} on {cell.task}: {wrong}"
            raise PatchkitError(what, "restore the file as it was written, or measure again")
    for cell in evidence.cells:
        _judge_again(cell)
    return evidence


def _judge_again(cell: Cell) -> None:
    from patchkit.evals.analysis import curves, judge  # scipy is behind it

    cell.modes = {BASELINE: cell.modes[BASELINE], **cell.modes}
    cell.curves = curves(cell)
    cell.judgements = [judge(cell, mode) for mode in cell.modes if mode != BASELINE]


def _contradictions(cell: Cell) -> Iterator[str]:
    """What no run leaves behind."""
    if not 1 <= cell.n <= MOST_SAMPLES or not cell.problems:
        yield f"{len(cell.problems)} problems with {cell.n} samples cannot be judged"
        return
    if len(set(cell.problems)) < len(cell.problems):
        yield "a problem is listed twice"
    if not cell.modes.get(BASELINE):
        yield f"there is no trial of the {BASELINE}"
        return
    trials = len(cell.modes[BASELINE])
    for mode, all_of_it in cell.modes.items():
        if len(all_of_it) != trials:
            yield f"{len(all_of_it)} trials of {mode} are not the {trials} of the {BASELINE}"
        for number, trial in enumerate(all_of_it, 1):
            yield from (f"{mode}, trial {number}: {wrong}" for wrong in _in_trial(trial, len(cell.problems), cell.n))
    for mode, ratio in cell.throughput.items():
        if mode not in cell.modes or mode == BASELINE:
            yield f"there is a throughput of {mode}, which was not compared"
        yield from (f"{mode}: {wrong}" for wrong in _in_throughput(ratio, trials))


def _in_trial(trial: Trial, problems: int, n: int) -> Iterator[str]:
    lists: dict[str, Sequence[float | None]] = {
        "correct": trial.correct,
        "truncated": trial.truncated,
        "answers": trial.answers,
        "approaches": trial.approaches,
    }
    for name, values in lists.items():
        most = n if name in ("correct", "truncated") else 1
        if len(values) != problems and (values or name == "correct"):  # the others need not have been recorded
            yield f"{name} has {len(values)} figures for {problems} problems"
        for value in values:
            if value is not None and not 0 <= value <= most:
                yield f"{name} has {value:g}, which is not from 0 to {most}"
    wrong = problems * n - sum(trial.correct)
    for name, count in (("ungraded", trial.ungraded), *((f"why: {why}", often) for why, often in trial.why.items())):
        if not 0 <= count <= wrong:
            yield f"{name}: {count} of {wrong} wrong samples"
    if trial.unread is not None and not 0 <= trial.unread <= wrong - trial.ungraded:
        yield f"unread: {trial.unread} of {wrong} wrong samples, {trial.ungraded} of which were not graded"
    if sum(trial.why.values()) > wrong:
        yield f"why counts {sum(trial.why.values())} of {wrong} wrong samples"
    seconds = (trial.seconds, trial.observing)
    if trial.tokens < 0 or trial.sessions < 1 or trial.shards < 1 or not all(0 <= one < math.inf for one in seconds):
        yield "tokens, seconds, sessions and shards have impossible values"


def _in_throughput(ratio: Throughput, trials: int) -> Iterator[str]:
    if not 0 < ratio.low <= ratio.ratio <= ratio.high < math.inf:
        yield f"tokens/s of {ratio.ratio:g} x ({ratio.low:g} to {ratio.high:g}) cannot be"
    if not 1 <= ratio.pairs <= trials:
        yield f"tokens/s of {ratio.pairs} pairs cannot be, of {trials} trials"
