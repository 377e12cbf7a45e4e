"""The timeline of drifts: what broke when, loud or silent, and what fixes it."""

from __future__ import annotations

from collections.abc import Sequence

from patchkit.drift.drift import Drift
from patchkit.drift.findings import Finding
from patchkit.plural import counted
from patchkit.report.drift.adopted_patches import short as short
from patchkit.report.site import matrix
from patchkit.report.site.sources import Sources
from patchkit.report.site.trees import Trees
from patchkit.series.patch import Patch


def headline(steps: Sequence[Drift]) -> str:
    """``36 steps from release to release, 13 with a break; 5 breaks unpatched, the first in vLLM 0.22.0``."""
    broken = sum(bool(step.breaks) for step in steps)
    first = next((step.new.release for step in steps if any(one.unpatched for one in step.breaks)), None)
    left = sum(one.unpatched for step in steps for one in step.breaks)
    whole = f"{counted(len(steps), 'step')} from release to release, {broken} with a break"
    if first is None:
        return f"{whole}; none is unpatched, as far as sources can tell"
    return f"{whole}; {counted(left, 'break')} unpatched, the first in vLLM {first}"


def series(sources: Sources, trees: Trees) -> dict[str, list[Patch]]:
    """The patches of every runtime that a drift names, where they can be read."""
    names = dict.fromkeys(step.runtime for filed in sources.drifts for step in filed.record)
    return {name: patches for name in names if (patches := trees.patches(name))}


def listed(sources: Sources, trees: Trees, runtime: str, patch: str) -> bool:
    return any(one.name == patch for one in series(sources, trees).get(runtime, []))


def anchor(runtime: str, patch: str) -> str:
    return matrix.anchor(f"{runtime}-{patch}")


def answer(one: Finding) -> str:
    """What covers a break that no patch fixes, as a label."""
    kinds = {
        "upstream": "the runtime's code already fits",
        "manifest": "allowed by runtime.yaml",
        "gates": "gates green",
    }
    return ", ".join(kinds.get(name, name) for name in one.fixed_by) or "unpatched"


def titled(patch: str) -> str:
    """``0003 Return token ids and logprobs as a pair``."""
    return patch.replace("-", " ")


def reason(one: Finding) -> str:
    """Why that is so, and which patch may fix a break that is unpatched."""
    perhaps = f"perhaps fixed by {', '.join(map(titled, one.perhaps_by))}" if one.unpatched and one.perhaps_by else ""
    return "; ".join(filter(None, (one.because, perhaps)))


def rest(step: Drift) -> str:
    look, harmless = step.counts["look"], step.counts["harmless"]
    parts = [f"{look} to look at" if look else "", f"{harmless} harmless" if harmless else ""]
    return ", ".join(filter(None, parts))


def dead_now(steps: Sequence[Drift], index: int) -> list[str]:
    """Models on which no hook fires any more, in the first step in which that is so."""
    before = set(steps[index - 1].dead) if index else set()
    return [one for one in steps[index].dead if one not in before]
