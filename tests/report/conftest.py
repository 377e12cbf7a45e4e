"""Evidence of every colour."""

from __future__ import annotations

import made_accuracy as made
import pytest
from made_evidence import evidence_of, green, red, without

from patchkit.bench.accuracy_evidence import AccuracyEvidence
from patchkit.gates.evidence import Evidence


@pytest.fixture
def all_green() -> Evidence:
    return evidence_of("gate", [green("identity", decode_rows=7675, loss=0.123456, missing=None), green("learning")])


@pytest.fixture
def one_red() -> Evidence:
    return evidence_of("gate", [green("identity"), red("decode_shrink")])


@pytest.fixture
def knocked_out() -> Evidence:
    """The first patch is caught, the second is not."""
    return evidence_of(
        "knockout",
        [green("identity"), green("decode_shrink")],
        [
            without("0005-Learn-ids", "identity", "identity", identity=False, decode_shrink=True),
            without("0007-Clear-the-tail", "", "decode_shrink", decode_shrink=True),
        ],
    )


@pytest.fixture(scope="module")
def usual() -> AccuracyEvidence:
    return made.evidence(
        made.cell(count=12, n=8, trials=2, lift=0.1, seed=3),
        made.cell("humaneval", count=30, n=4, trials=1, names="HumanEval/{number}", seed=4),
    )
