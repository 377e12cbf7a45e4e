"""Evidence says which patchkit wrote it, and is of an unknown one if it does not."""

from __future__ import annotations

import json
from typing import Any

from made_up import MadeUp

from patchkit import __version__
from patchkit.gates.evidence import read_evidence


def test_evidence_that_does_not_say_which_patchkit_wrote_it_is_of_an_unknown_one(
    made_up: MadeUp, patchkit: Any
) -> None:
    made_up.scenario("first")
    assert patchkit("gate", "--vllm", "0.20.0")[0] == 0
    file = made_up.root / ".patchkit/evidence/gate-0.20.0-cpu.json"
    assert read_evidence(file).patchkit == __version__
    record = json.loads(file.read_text())
    del record["patchkit"]
    file.write_text(json.dumps(record))
    assert read_evidence(file).patchkit == "unknown"
