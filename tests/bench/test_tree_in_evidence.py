"""Which tree was measured: the hash of its files, the same in the evidence of gates, of accuracy, and in a draw."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs

from patchkit.bench.accuracy import LoadedTask
from patchkit.bench.workspace_source import WorkspaceSource
from patchkit.evals.tasks import load_task
from patchkit.gates.evidence import Circumstances, Evidence, Hardware
from patchkit.gates.settings import Settings
from patchkit.gates.workspace import Workspace
from patchkit.project import Project
from patchkit.verbs.accuracy import begin

COMMIT, FILES, CODE = "c" * 40, "f" * 40, "d" * 40


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace on a tree that has a last commit and files, and a worker that is ready."""
    runtime = SimpleNamespace(name="toy", defaults={}, figures=(), folder=tmp_path)
    tree = SimpleNamespace(runtime=runtime, pin="p", head=COMMIT, hash=FILES, code=CODE, taken=[], path=tmp_path)
    ready = SimpleNamespace(python="3", torch="2", vllm="0.20.0", transformers=None, gpu=None, replaced=[])
    made = Workspace(Settings(Project(tmp_path, tmp_path / ".patchkit"), "toy", "0.20.0"))
    monkeypatch.setattr(Workspace, "tree", tree)
    monkeypatch.setattr(Workspace, "worker_client", SimpleNamespace(wait_ready=lambda: ready))
    monkeypatch.setattr(Workspace, "model", lambda self, name: name)
    monkeypatch.setattr("patchkit.gates.workspace.hardware", lambda gpu: Hardware())
    return made


def plan(**changes: Any) -> Any:
    held = {"vllm": "0.20.0", "device": "cpu", "seed": 0, "n": 2, "sampling": {}, "engine": {}}
    return SimpleNamespace(**held, settings_of=lambda mode: {}, **changes)


def test_accuracy_evidence_has_the_tree_that_gate_evidence_has(workspace: Workspace) -> None:
    gates: Evidence = workspace.evidence("gate")
    accuracy: Circumstances = begin(workspace, plan(), "")
    assert structs.asdict(accuracy.runtime) == structs.asdict(gates.runtime)
    assert (accuracy.runtime.tree, accuracy.runtime.code, accuracy.runtime.commit) == (FILES, CODE, COMMIT)


def test_a_draw_depends_on_the_files_of_the_tree_and_not_on_its_commits(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("patchkit.bench.workspace_source.model_digest", lambda path: "m")
    source = WorkspaceSource(plan(), workspace, [])
    asked = LoadedTask(load_task("arithmetic-1"), 8)
    assert source.draw_plan("m", asked, "toy", 0).tree == FILES
    assert source.draw_plan("m", asked, "baseline", 0).tree == ""
