"""Figures and phrases of throughput evidence, the same in every form."""

from __future__ import annotations

from statistics import median

from patchkit.bench.throughput_evidence import Ratio, ThroughputEvidence, ThroughputRow, Timing

NONE = "-"


def rate(runs: list[Timing] | None) -> str:
    """The median of tokens/s, ``12,345``."""
    return f"{median(run.rate for run in runs):,.0f}" if runs else NONE


def plain_rate(row: ThroughputRow) -> str:
    """Of the fastest plain vLLM, with its mode."""
    return f"{rate(row.plain.get(row.fastest))} {row.fastest}".strip()


def ratio(found: Ratio | None) -> str:
    """``0.951 [0.948, 0.955]``."""
    return f"{found.median:.3f} [{found.low:.3f}, {found.high:.3f}]" if found else NONE


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
    return (
        f"{model(evidence)}, vLLM {evidence.release}, {evidence.device}, runner {evidence.runner}, {where}: "
        f"{evidence.tokens} tokens a sample, {evidence.pairs} pairs, intervals {confidence(evidence)}"
    )


def peak(row: ThroughputRow) -> str:
    """Memory at the peak, ``1.20 -> 1.31 GiB``."""
    if not row.patched_peak:
        return NONE
    return f"{row.plain_peak / 2**30:.2f} → {row.patched_peak / 2**30:.2f}"
