"""What ``patchkit bench accuracy`` and ``patchkit bench matrix`` leave behind: every cell, judged, in one JSON file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from patchkit import __version__
from patchkit.errors import PatchkitError
from patchkit.evals.record import Cell
from patchkit.files import write_atomically
from patchkit.gates.evidence import Hardware, RuntimeUsed, Versions


class AccuracyEvidence(msgspec.Struct, kw_only=True):
    """One run of ``bench accuracy`` or ``bench matrix``.

    Attributes:
        unproven: why the gates did not admit this run, which was made all the same; empty if they did.
        gates: which evidence admitted it, in one line.
        seed: what all samples are seeded from.
    """

    patchkit: str = __version__
    kind: Literal["accuracy"] = "accuracy"
    command: str = ""
    began: str = ""
    seconds: float = 0.0
    release: str
    device: str
    runtime: RuntimeUsed
    versions: Versions = msgspec.field(default_factory=Versions)
    hardware: Hardware = msgspec.field(default_factory=Hardware)
    unproven: str = ""
    gates: str = ""
    seed: int = 0
    cells: list[Cell] = msgspec.field(default_factory=list)


def to_json(evidence: AccuracyEvidence) -> str:
    """Indented JSON."""
    return msgspec.json.format(msgspec.json.encode(evidence), indent=2).decode() + "\n"


def write_accuracy(path: Path, evidence: AccuracyEvidence) -> None:
    """Write it whole or not at all."""
    write_atomically(path, to_json(evidence))


def read_accuracy(path: Path) -> AccuracyEvidence:
    """Read it back; a file that is something else is one line."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=AccuracyEvidence)
    except OSError as error:
        raise PatchkitError(f"cannot read {path}: {error.strerror or error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PatchkitError(f"{path} is not evidence of an accuracy run: {error}") from None
