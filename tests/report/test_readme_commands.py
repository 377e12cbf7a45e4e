"""The newest proven release in a README's commands, and its run of the gates."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchkit.gates.evidence import read_evidence
from patchkit.model_runner import ModelRunner
from patchkit.report.readme import BEGIN, END, example_run, with_example_run, with_newest_release
from patchkit.series.proven import Proof, ProvenTable

EVIDENCE = Path(__file__).parents[2] / "evidence" / "gate-0.20.0-cpu.json"
COMMANDS = f"""0.19.0 is old, --vllm 0.19.0 too
{BEGIN}
./go gate --vllm 0.19.0     # but 0.19.0 in words, --vllm latest and --vllm=0.19.0 stay
./go gate --vllm 0.19.0.post1 --device cuda
| `patchkit apply --vllm 0.19.0` | ../trees/my-runtime/0.19.0 |
{END}
--vllm 0.19.0
"""


def proof(release: str, device: str = "cpu", runner: ModelRunner = "v1", red: tuple[str, ...] = ()) -> Proof:
    return Proof(
        release=release, runner=runner, device=device, gates=2, red=red, patches=(), tree="t", date="d", evidence="e"
    )


def test_commands_between_the_marks_are_of_the_newest_proven_release() -> None:
    proofs = (proof("0.9.2"), proof("0.10.0"), proof("0.11.0", red=("a",)), proof("0.12.0", runner="v2"))
    table = ProvenTable(proofs=(*proofs, proof("0.9.1", device="cuda")))
    before, *lines, after = with_newest_release(COMMANDS, table).splitlines()
    assert (before, after) == (COMMANDS.splitlines()[0], "--vllm 0.19.0")
    assert lines[1:-1] == [
        "./go gate --vllm 0.10.0     # but 0.19.0 in words, --vllm latest and --vllm=0.19.0 stay",
        "./go gate --vllm 0.9.1 --device cuda",
        "| `patchkit apply --vllm 0.10.0` | ../trees/my-runtime/0.10.0 |",
    ]


@pytest.mark.parametrize("text", [COMMANDS.replace(BEGIN, ""), COMMANDS.replace(END, ""), "", COMMANDS])
def test_without_marks_or_proof_a_document_stays(text: str) -> None:
    table = ProvenTable() if text == COMMANDS else ProvenTable(proofs=(proof("0.10.0"),))
    assert with_newest_release(text, table) == text


def test_the_example_is_the_run_of_the_evidence() -> None:
    record = read_evidence(EVIDENCE)
    said = example_run(record, EVIDENCE.name)
    first, second, *verdicts, last = said.splitlines()
    assert first == "$ ./go gate --vllm 0.20.0 --evidence evidence/gate-0.20.0-cpu.json"
    used = record.runtime
    assert second == f"gate: esamp {used.pin[:8]} with {len(used.patches)} patches on vLLM 0.20.0, cpu"
    assert [line.split()[:2] for line in verdicts] == [
        *(["✓", one.scenario] for one in record.verdicts[:4]),
        ["…"],
        ["✓", record.verdicts[-1].scenario],
    ]
    count = len(record.verdicts)
    assert last == f"{count} of {count} gates pass in {record.seconds:.0f} s  evidence/gate-0.20.0-cpu.json"
    old = "```\n$ ./go gate --vllm 0.1.0 --evidence e.json\nold\n```\n"
    assert with_example_run(f"text\n{old}more\n{old}", record, EVIDENCE.name) == f"text\n```\n{said}```\nmore\n{old}"
    assert with_example_run("no run at all", record, EVIDENCE.name) == "no run at all"
