"""Figures and phrases of throughput evidence, the same in every form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from patchkit.bench.throughput_evidence import Ratio, StepProfile, ThroughputEvidence, ThroughputRow, Timing
from patchkit.gates.events import StepTime
from patchkit.plural import counted

NONE = "-"
LOAD = ("mode", "settings", "prompts x samples")
RATES = ("plain vLLM, tokens/s", "with the runtime")
RATIO, SAME_MODE = "ratio to the fastest plain", "to plain in the same mode"
BY_CPU_TIME, BY_DEVICE_TIME = "ratio by CPU time", "ratio by device time"
UNINSTALLED = "ratio after uninstall()"
SPREAD = "plain's own spread"
PROFILE = ("µs a step", "calls", "on", "what")


def rate(runs: list[Timing] | None) -> str:
    """The median of tokens/s, ``12,345``."""
    return f"{median(run.rate for run in runs):,.0f}" if runs else NONE


def plain_rate(row: ThroughputRow) -> str:
    """Of the fastest plain vLLM, with its mode."""
    return f"{rate(row.plain[row.fastest])} {row.fastest}" if row.fastest in row.plain else NONE


def patched_rate(row: ThroughputRow) -> str:
    """With the runtime, if it was alive: else its speed means nothing."""
    return rate(row.patched) if row.standing == "alive" else NONE


def ratio(found: Ratio | None) -> str:
    """``0.951 [0.948, 0.955]``."""
    return f"{found.median:.3f} [{found.low:.3f}, {found.high:.3f}]" if found else NONE


def spread(row: ThroughputRow) -> str:
    """``1.04``: the fastest run of plain vLLM over its slowest, which shows how steady the host was."""
    rates = [run.rate for run in row.plain.get(row.fastest, [])]
    return f"{max(rates) / min(rates):.2f}" if rates else NONE


def comparisons(evidence: ThroughputEvidence) -> tuple[str, ...]:
    """The columns that say how the sides compare; one that would repeat another, or has no figure, is left out."""
    other_mode = any(row.ratio and row.mode != row.fastest for row in evidence.rows)
    shown = {
        SAME_MODE: other_mode,
        BY_CPU_TIME: any(row.cpu_ratio for row in evidence.rows),
        BY_DEVICE_TIME: any(by_device_time(evidence, row) for row in evidence.rows),
        UNINSTALLED: any(row.uninstalled for row in evidence.rows),
    }
    return (RATIO, *(column for column, useful in shown.items() if useful), SPREAD)


def compared(evidence: ThroughputEvidence, row: ThroughputRow, columns: Sequence[str]) -> list[str]:
    """The cells of a row below these columns."""
    device = by_device_time(evidence, row)
    known = {
        RATIO: ratio(row.ratio),
        SAME_MODE: ratio(row.same_mode),
        BY_CPU_TIME: ratio(row.cpu_ratio),
        BY_DEVICE_TIME: f"{device:.3f}" if device else NONE,
        UNINSTALLED: ratio(row.uninstalled),
        SPREAD: spread(row),
    }
    return [known[column] for column in columns]


def by_device_time(evidence: ThroughputEvidence, row: ThroughputRow) -> float | None:
    """How long vLLM's stream is busy in a step of plain vLLM in the same mode, over how long it is with the runtime.

    What the host takes is not in it, nor what other streams do meanwhile. None without a profile by stream, and of a
    row that is not alive.
    """
    found = [one for one in evidence.profiles if _load(one) == _load(row) and row.standing == "alive"]
    both = [(one.plain.streams, one.patched.streams) for one in found if one.plain and one.patched]
    return next((plain[0] / patched[0] for plain, patched in both if plain and patched and patched[0]), None)


def profile_rows(found: StepTime) -> Iterator[tuple[str, str, str, str]]:
    """The rows of a profile, as :data:`PROFILE` has them."""
    for row in found.rows:
        where = f"stream {row.stream}" if row.stream else row.where
        yield f"{row.microseconds:,.1f}", f"{row.calls:g}", where, row.name


def confidence(evidence: ThroughputEvidence) -> str:
    """``97%``, of the intervals."""
    sure = {row.ratio.confidence for row in evidence.rows if row.ratio}
    return f"{100 * min(sure):.0f}%" if sure else NONE


def model(evidence: ThroughputEvidence) -> str:
    """``qwen2.5-7b shapes`` or the model's name."""
    return f"{evidence.model} shapes, random weights" if evidence.random_weights else evidence.model


def title(evidence: ThroughputEvidence) -> str:
    """What was measured on what."""
    where = evidence.hardware.gpu or evidence.hardware.cpu or evidence.device
    cut = "" if evidence.finished else ", stopped before its end"
    return (
        f"{model(evidence)}, vLLM {evidence.release}, {evidence.device}, runner {evidence.runner}, {where}: "
        f"{evidence.tokens} tokens a sample, {evidence.pairs} pairs, intervals {confidence(evidence)}{cut}"
    )


def peak(row: ThroughputRow) -> str:
    """Memory at the peak, ``1.20 -> 1.31 GiB``."""
    if not row.patched_peak:
        return NONE
    return f"{row.plain_peak / 2**30:.2f} → {row.patched_peak / 2**30:.2f}"


def load(row: ThroughputRow) -> str:
    """``graphs preset=paper 8x16``, which row it is."""
    return f"{row.mode} {row.settings} {row.prompts}x{row.samples}"


def memory_lines(evidence: ThroughputEvidence) -> Iterator[str]:
    """Memory in use at each point, a line an engine."""
    for one in evidence.memory:
        points = ", ".join(f"{point.steps:,}: {point.used / 2**20:,.1f}" for point in one.points)
        yield f"MiB in use after steps, {one.mode} {one.settings} {one.prompts}x{one.samples}: {points}"


def profiles(evidence: ThroughputEvidence) -> Iterator[tuple[str, StepTime]]:
    """Every profile with its title, plain vLLM before the runtime."""
    for one in evidence.profiles:
        name = f"{one.mode} {one.settings} {one.prompts}x{one.samples}"
        measured = [row for row in evidence.rows if _load(row) == _load(one)]
        plain = [run for row in measured for run in row.plain.get(row.mode, [])]
        patched = [run for row in measured for run in row.patched]
        for side, found, runs in (("plain", one.plain, plain), ("runtime", one.patched, patched)):
            if found is not None:
                yield _profile_title(f"{name}, {side}", found, one.prompts * one.samples, runs), found


def _load(of: ThroughputRow | StepProfile) -> tuple[str, str, int, int]:
    return of.mode, of.settings, of.prompts, of.samples


def _profile_title(name: str, found: StepTime, rows: int, runs: list[Timing]) -> str:
    """How long a step took in the runs that were not profiled, and how long device and host were busy in it."""
    took = f"{1e6 * rows / median(run.rate for run in runs):,.0f}; " if runs else ""
    streams = ", ".join(f"stream {number} {busy:,.0f}" for number, busy in enumerate(found.streams, 1) if busy >= 0.5)
    device = streams or f"device {found.device:,.0f}"
    busy = f"{device}, " if found.device else ""
    return f"µs a step, {name}: {took}busy: {busy}host {found.host:,.0f}"


def verdict(evidence: ThroughputEvidence) -> str:
    """The span of the ratios that count, and how many rows do not."""
    ratios = [row.ratio.median for row in evidence.rows if row.ratio]
    lost = sum(row.standing != "alive" for row in evidence.rows)
    span = " to ".join(dict.fromkeys(f"{end:.3f}" for end in (min(ratios), max(ratios)))) if ratios else ""
    rows = counted(len(evidence.rows), "row")
    said = (f"{span} x the fastest plain vLLM" if span else "", f"{lost} of {rows} without a figure" if lost else "")
    return "; ".join(filter(None, said))
