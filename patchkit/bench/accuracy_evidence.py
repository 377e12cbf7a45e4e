"""What ``patchkit bench accuracy`` and ``patchkit bench matrix`` leave behind: every cell, judged, in one JSON file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from patchkit.evals.record import Cell
from patchkit.files import read_as
from patchkit.gates.evidence import Circumstances


class AccuracyEvidence(Circumstances, kw_only=True):
    """One run of ``bench accuracy`` or ``bench matrix``.

    Attributes:
        unproven: why the gates did not admit this run, which was made all the same; empty if they did.
        gates: which evidence admitted it, in one line.
        seed: what all samples are seeded from.
    """

    kind: Literal["accuracy"] = "accuracy"
    unproven: str = ""
    gates: str = ""
    seed: int = 0
    cells: list[Cell] = msgspec.field(default_factory=list)


def read_accuracy(path: Path) -> AccuracyEvidence:
    """Read it back; a file that is something else is one line."""
    return read_as(AccuracyEvidence, path, "evidence of an accuracy run")
