"""What changed between two releases, and what the series fixes of it: data that is printed, stored and acted upon."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from patchkit.drift.findings import Finding
from patchkit.drift.retirement import Retirement
from patchkit.errors import PatchkitError
from patchkit.files import read_as
from patchkit.plural import counted


@dataclass(frozen=True)
class Read:
    """One release as it was read, and whether the series is proven on it."""

    release: str
    origin: str
    proven: bool


@dataclass(frozen=True)
class Drift:
    """Everything that changed from ``old`` to ``new``.

    Attributes:
        runtime, pin: whose surface it is.
        patches: names of those that ``new`` takes, by their headers.
        left: names of those that it does not.
        findings: the worst first.
        dead: models that a class runs in ``new`` on which the runtime has no hook.
        retired: patches that ``new`` shows no need of, and those whose ``Applies-To`` ends there.
    """

    runtime: str
    pin: str
    old: Read
    new: Read
    patches: tuple[str, ...]
    left: tuple[str, ...]
    findings: tuple[Finding, ...]
    dead: tuple[str, ...] = ()
    retired: tuple[Retirement, ...] = ()

    @property
    def breaks(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.breaks]

    @property
    def unpatched(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.unpatched]

    @property
    def counts(self) -> Counter[str]:
        return Counter(finding.severity for finding in self.findings)


DriftFile = Drift | list[Drift]


def document(drifts: Sequence[Drift]) -> list[dict[str, Any]]:
    """For machines: every field, and the verdict."""
    return [
        {**msgspec.to_builtins(drift), "unpatched": len(drift.unpatched), "counts": dict(drift.counts)}
        for drift in drifts
    ]


def read_drifts(path: Path) -> list[Drift]:
    """What :func:`document` became in a file: one drift, or a list of them.

    Raises:
        PatchkitError: the file is something else, or holds none.
    """
    found: Any = read_as(DriftFile, path, "patchkit's drift JSON")  # type: ignore[arg-type]
    drifts = found if isinstance(found, list) else [found]
    if not drifts:
        raise PatchkitError(
            f"{path} is not patchkit's evidence: it holds no drift", "write it again with `patchkit drift --json`"
        )
    return drifts


def verdict(drift: Drift) -> str:
    """One sentence: ``2 silent and 1 loud break, fixed by the series``."""
    silent, loud = drift.counts["silent"], drift.counts["loud"]
    if not silent and not loud:
        return "nothing that the runtime depends on has changed"
    kinds = f"{silent} silent and {loud} loud"
    one_kind = counted(silent or loud, f"{'silent' if silent else 'loud'} break")
    breaks, left = (f"{silent + loud} breaks ({kinds})" if silent and loud else one_kind), len(drift.unpatched)
    if not left:
        return f"{breaks}, fixed by the series as far as the sources show"
    return f"{breaks}, {'unpatched' if left == silent + loud else f'{left} of them unpatched'}"
