"""Drifts as test cases: every break passes that a patch fixes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from patchkit.drift.drift import Drift, verdict
from patchkit.drift.findings import Finding
from patchkit.plural import counted
from patchkit.report.cases import Judged, JudgedCase, Suite
from patchkit.report.drift.adopted_patches import short
from patchkit.report.drift.terminal import remarks
from patchkit.report.phrases import series


def of_drifts(drifts: Sequence[Drift]) -> Judged:
    """A suite a release; one without a break has no case."""
    suites = [Suite(f"drift of {one.runtime} in vLLM {one.new.release}", list(_cases(one))) for one in drifts]
    left = sum(len(one.unpatched) for one in drifts)
    said = verdict(drifts[0]) if len(drifts) == 1 else f"{counted(len(drifts), 'release')}, {left} unpatched"
    first, last = drifts[0], drifts[-1]
    subject = series(last.runtime, last.pin, len(last.patches))
    title = f"drift: {subject} on vLLM {first.old.release} → {last.new.release}"
    warnings = [(f"vLLM {one.new.release}", remark) for one in drifts for remark in remarks(one)]
    return Judged(title, said, not left, suites, warnings=warnings)


def _cases(drift: Drift) -> Iterator[JudgedCase]:
    for finding in drift.breaks:
        yield JudgedCase(
            group=f"{drift.runtime}.drift.vllm-{drift.new.release}",
            name=f"{short(finding.symbol)} {finding.kind}",
            passed=not finding.unpatched,
            message=said(finding) if finding.unpatched else "",
            details=finding.because,
            title=title(finding, drift.new.release),
            level="error" if finding.severity == "silent" else "warning",
        )


def title(finding: Finding, release: str) -> str:
    """``vLLM 0.20.0 breaks silently, unpatched``."""
    return f"vLLM {release} breaks {'silently' if finding.severity == 'silent' else 'loudly'}, unpatched"


def said(finding: Finding) -> str:
    """What changed, and where."""
    return f"{short(finding.symbol)} {finding.sentence} ({finding.new or finding.old})"
