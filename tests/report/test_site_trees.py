"""Only what is known to be of the project's own tree counts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from made_evidence import evidence_of, green
from msgspec.structs import replace

from patchkit.gates.evidence import Evidence
from patchkit.report.site.trees import Standing, Trees

TREE, HEAD, CODE, PIN, PATCHES = "ab12", "cd34", "9f00", "0753033777931d03", ["0005-Learn-ids", "0007-Clear-the-tail"]


def trees(tree: Any = "as it is") -> Trees:
    """Trees of a project whose only one is this."""
    taken = [SimpleNamespace(name=name) for name in PATCHES]
    runtime = SimpleNamespace(name="esamp")
    ours = SimpleNamespace(runtime=runtime, hash=TREE, head=HEAD, code=CODE, pin=PIN, taken=taken)
    ours = ours if tree == "as it is" else tree
    return Trees(None, {("esamp", "0.20.0"): ours})


def evidence(**used: Any) -> Evidence:
    made = evidence_of("gate", [green("identity")])
    return replace(made, runtime=replace(made.runtime, **used))


@pytest.mark.parametrize(
    ("used", "standing"),
    [
        ({"tree": TREE}, "this tree"),
        ({"tree": TREE, "commit": "other words in a patch's message"}, "this tree"),
        ({"tree": "ef56", "commit": HEAD}, "another tree"),
        ({"tree": "ef56", "code": CODE}, "this tree"),
        ({"tree": "ef56", "code": "0000"}, "another tree"),
        ({"tree": TREE, "code": "by another release of Python"}, "this tree"),
        ({"commit": HEAD}, "this tree"),
        ({"commit": "0000"}, "unknown tree"),
        ({}, "unknown tree"),
        ({"pin": "ffff"}, "another tree"),
        ({"patches": PATCHES[:1]}, "another tree"),
        ({"tree": TREE, "without": PATCHES[:1]}, "another tree"),
    ],
)
def test_evidence_is_held_against_the_tree(used: dict[str, Any], standing: Standing) -> None:
    assert trees().standing(evidence(**used)) == standing


def test_without_a_tree_to_compare_with_nothing_is_known() -> None:
    assert trees(None).standing(evidence(tree=TREE)) == "unknown tree"
    assert Trees().standing(evidence(tree=TREE)) == "unknown tree"


def test_the_gates_are_those_of_the_project() -> None:
    here = Trees.here()
    assert here.project is not None
    for runtime in here.project.runtimes():
        assert {"neutrality", "decode_shrink"} <= {*here.gates(runtime)}
    assert here.gates("nobody") == []


def test_the_series_of_a_runtime_that_is_not_here_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Trees.here().patches("nobody") == []
