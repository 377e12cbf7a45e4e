"""``proven.yaml``: what counts of evidence, what does not, and what is known of a release before anything runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from patchkit.errors import PatchkitError
from patchkit.project import Project
from patchkit.proof.standing import Place, elsewhere, standing
from patchkit.proof.table import joined, make_table
from patchkit.report.standing import standing_line
from patchkit.report.support_table import BEGIN, END, matrix, summary, support_table, with_table
from patchkit.series.manifest import load_manifest
from patchkit.series.proven import NAME, Proof, ProvenTable, Unhooked, read_proven, to_yaml

CHECKOUT = Path(__file__).parents[2]
ESAMP = Project(CHECKOUT, CHECKOUT / ".patchkit")
WHOLE: dict[str, Any] = json.loads((CHECKOUT / "evidence" / "gate-0.20.0-cpu.json").read_text(encoding="utf-8"))


def proof(release: str, runner: Any = "v1", device: str = "cpu", **more: Any) -> Proof:
    about: dict[str, Any] = {"gates": 12, "patches": (1, 2, 3), "tree": "t", "date": "2026-11-26", "evidence": "e.json"}
    return Proof(release=release, runner=runner, device=device, **{**about, **more})


TABLE = ProvenTable(
    pin="p",
    proofs=(
        proof("0.9.0"),
        proof("0.10.0", red=("identity",)),
        proof("0.10.1"),
        proof("0.10.1", "v2", patches=(1, 2, 3, 5)),
        proof("0.10.1", device="cuda", gpu="NVIDIA H100"),
        proof("0.10.2"),
    ),
    unhooked=(
        Unhooked(release="0.10.1", models=("LlamaForCausalLM on cuda", "OtherForCausalLM on cpu")),
        Unhooked(release="0.11.0", models=()),
    ),
    drift_read="0.11.0",
)


def made(folder: Path, **changes: Any) -> tuple[ProvenTable, list[str]]:
    """The table of one file of evidence, changed so."""
    file = folder / "gate-0.20.0-cpu.json"
    file.write_text(json.dumps({**WHOLE, **changes}))
    table, left = make_table(ESAMP, load_manifest(ESAMP, "esamp"), [file])
    return table, [one.why for one in left]


def test_evidence_of_the_series_as_it_is_counts(tmp_path: Path) -> None:
    table, left = made(tmp_path)
    (one,) = table.proofs
    assert (one.release, one.runner, one.device, one.green, one.score) == ("0.20.0", "v1", "cpu", True, "12 of 12")
    assert one.patches == (1, 2, 3, 4, 5, 6, 7, 8) and one.tree == WHOLE["runtime"]["tree"] and left == []
    assert table.releases() == table.releases("v1", "cpu") == ["0.20.0"] and table.releases("v2") == []


def test_evidence_of_the_same_code_in_other_words_counts(tmp_path: Path) -> None:
    (now,) = made(tmp_path)[0].proofs
    table, left = made(tmp_path, runtime={**WHOLE["runtime"], "tree": "0" * 40})
    assert (table.proofs, left) == ((now,), [])  # the table names the tree that there is now


def test_a_red_gate_is_kept_and_proves_nothing(tmp_path: Path) -> None:
    red = [{**verdict, "passed": verdict["scenario"] != "identity"} for verdict in WHOLE["verdicts"]]
    table, left = made(tmp_path, verdicts=red)
    assert (table.proofs[0].red, table.proofs[0].score, table.releases(), left) == (("identity",), "11 of 12", [], [])


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"verdicts": WHOLE["verdicts"][1:]}, "not run: monotonic_bench"),
        ({"kind": "bench"}, "it is of a bench"),
        ({"versions": {**WHOLE["versions"], "vllm": "0.19.0"}}, "the gates ran on vLLM 0.19.0"),
        ({"runtime": {**WHOLE["runtime"], "pin": "0" * 40}}, "another pin"),
        ({"runtime": {**WHOLE["runtime"], "patches": WHOLE["runtime"]["patches"][1:]}}, "other patches"),
        ({"runtime": {**WHOLE["runtime"], "tree": "0" * 40, "code": "0" * 40}}, "other code: a patch was changed"),
        ({"runtime": {**WHOLE["runtime"], "tree": "0" * 40, "code": ""}}, "other code"),
        ({"runtime": {**WHOLE["runtime"], "tree": "", "commit": "0" * 40}}, "other code"),
        ({"runtime": {**WHOLE["runtime"], "tree": "", "commit": ""}}, "other code"),
    ],
)
def test_other_evidence_does_not_count(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    table, left = made(tmp_path, **changes)
    assert table.proofs == () and len(left) == 1 and why in left[0]


def test_a_drift_report_says_where_no_hook_fires(tmp_path: Path) -> None:
    taken = WHOLE["runtime"]["patches"]
    step = {"runtime": "esamp", "pin": WHOLE["runtime"]["pin"], "patches": taken, "dead": []}
    dead = ["LlamaForCausalLM on cuda (vllm.v1.worker.gpu.model_runner.GPUModelRunner)"]
    steps = [{**step, "new": {"release": "0.20.1"}}, {**step, "new": {"release": "0.20.2"}, "dead": dead}]
    file = tmp_path / "drift-0.20.0-0.20.2.json"
    file.write_text(json.dumps(steps))
    table, left = make_table(ESAMP, load_manifest(ESAMP, "esamp"), [file])
    assert (table.drift_read, left) == ("0.20.2", [])
    assert table.unhooked == (Unhooked(release="0.20.2", models=("LlamaForCausalLM on cuda",)),)
    file.write_text(json.dumps([{**steps[0], "patches": taken[1:]}]))
    table, (one,) = make_table(ESAMP, load_manifest(ESAMP, "esamp"), [file])
    assert table.drift_read == "" and one.why == "it was made with other patches, for 0.20.1 and perhaps others"


def test_the_file_is_read_back_and_counts_for_its_pin_alone(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(to_yaml(TABLE))
    assert read_proven(tmp_path, "p") == TABLE
    assert read_proven(tmp_path, "another") == ProvenTable() == read_proven(tmp_path / "nowhere", "p")
    for wrong in ("proofs: [1]\n", "proofs:\n- {release: pear}\n", "unhooked: [{release: x, models: []}]\n"):
        (tmp_path / NAME).write_text(f"pin: p\n{wrong}")
        with pytest.raises(PatchkitError, match=r"proven\.yaml: .*; make it again with `patchkit prove`"):
            read_proven(tmp_path, "p")


def test_a_new_proof_takes_the_place_of_the_old_one() -> None:
    more = ProvenTable(pin="p", proofs=(proof("0.10.2", date="2027-01-01"), proof("0.9.1")))
    found = joined(TABLE, more)
    assert [one.release for one in found.proofs] == [
        *("0.9.0", "0.9.1", "0.10.0", "0.10.1", "0.10.1", "0.10.1", "0.10.2")
    ], "by version, not by text"
    assert found.proofs[-1].date == "2027-01-01" and found.unhooked == TABLE.unhooked


def test_the_newest_release_is_that_of_the_model_runner_and_device_or_of_any() -> None:
    assert TABLE.newest() == "0.10.2" and TABLE.newest("v2") == "0.10.1" == TABLE.newest("v1", "cuda")
    assert TABLE.newest("v2", "cuda") == "0.10.2", "proven on neither: the newest of all"
    assert ProvenTable().newest() == ""


@pytest.mark.parametrize(
    ("release", "runner", "device", "tree", "line"),
    [
        (
            "0.10.2",
            "v1",
            "cpu",
            "t",
            "✓ proven on cpu with vLLM's first model runner: 12 of 12 gates green on",
        ),
        (
            "0.10.1",
            "v1",
            "cuda",
            "t",
            "✓ proven on cuda with vLLM's first model runner: 12 of 12 gates green, NV",
        ),
        (
            "0.10.0",
            "v1",
            "cpu",
            "t",
            "✗ known not to work on cpu with vLLM's first model runner: identity red",
        ),
        (
            "0.10.2",
            "v1",
            "cpu",
            "u",
            "? not proven on cpu with vLLM's first model runner: the gates were green on",
        ),
        ("0.20.0", "v2", "cpu", "t", "run `patchkit gate --vllm 0.20.0 --runner v2`"),
        ("0.10.2", "v1", "cuda", "t", "run `patchkit gate --vllm 0.10.2 --device cuda`"),
        (
            "0.10.3",
            "v1",
            "cpu",
            "t",
            "run `patchkit lock 0.10.3`, which asks for a CPU build, then `patchkit gate",
        ),
        ("0.10.2", "v2", "cuda", "t", "✗ known not to work on cuda with vLLM's second model runner: no hook fires"),
        ("0.10.2", "v2", "cuda", "t", "runs LlamaForCausalLM there with classes that the runtime does not hook"),
        ("0.10.2", "v2", "cuda", "t", "set VLLM_USE_V2_MODEL_RUNNER=0"),
        ("0.10.1", "v2", "cuda", "t", "? not proven on cuda with vLLM's second model runner: no gate was run; run"),
        ("0.11.0", "v2", "cuda", "t", "? not proven on cuda with vLLM's second model runner: no gate was run; run"),
        ("0.12.0", "v1", "cpu", "t", "changed since 0.11.0 was not read: `patchkit drift --vllm 0.12.0`"),
    ],
)
def test_what_is_known_of_a_tree(release: str, runner: Any, device: str, tree: str, line: str) -> None:
    assert line in standing_line(standing(TABLE, Place(release, runner, device), tree)).plain


def test_what_vllm_chooses_by_itself_elsewhere_is_said_if_it_does_not_work() -> None:
    table = ProvenTable(
        pin="p", proofs=(proof("0.30.0"),), unhooked=(Unhooked(release="0.23.0", models=("LlamaForCausalLM on cuda",)),)
    )
    (one,) = elsewhere(table, Place("0.30.0", "v1", "cpu"), "t")
    assert (one.place, one.state) == (Place("0.30.0", "v2", "cuda"), "broken")
    assert elsewhere(table, Place("0.30.0", "v2", "cuda"), "t") == [], "what was asked for is not said twice"
    assert elsewhere(table, Place("0.22.0", "v1", "cpu"), "t") == []


def test_the_support_table_and_the_matrix() -> None:
    assert support_table(TABLE).splitlines() == [
        "| vLLM | patches taken | CPU | CPU, second runner | CUDA | CUDA, second runner |",
        "|---|---|---|---|---|---|",
        "| 0.9.0, 0.10.2 | 1 to 3 | ✓ 12 of 12 | unknown | unknown | unknown |",
        "| 0.10.0 | 1 to 3 | ✗ 11 of 12 | unknown | unknown | unknown |",
        "| 0.10.1 | 1 to 3 | ✓ 12 of 12 | ✓ 12 of 12 | ✓ 12 of 12, H100 | unknown |",
    ]
    assert matrix(TABLE) == [{"release": "0.10.1", "runner": "v2"}, {"release": "0.10.2", "runner": "v1"}]
    assert summary(TABLE) == (
        "Releases with every gate green: CPU: 3, the newest 0.10.2; CPU, second runner: 1, the newest 0.10.1; "
        "CUDA: 1, the newest 0.10.1."
    )
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert with_table(page, TABLE) == f"before\n{BEGIN}\n{summary(TABLE)}\n\n{support_table(TABLE)}\n{END}\nafter\n"
    assert with_table(with_table(page, TABLE), TABLE) == with_table(page, TABLE)
    assert with_table("no marks\n", TABLE) == "no marks\n"
