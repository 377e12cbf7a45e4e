"""Cheap checks come before an environment is built; evidence names the files that it is of."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import in_this_process
import pytest
from runs import make_part

import patchkit.environments
import patchkit.series
from patchkit.errors import PatchkitError
from patchkit.gates.evidence import Evidence, RuntimeUsed, read_evidence
from patchkit.gates.measurement_allowed import same_tree
from patchkit.gates.settings import Settings
from patchkit.gates.workspace import Workspace
from patchkit.project import Project

TREE: Any = SimpleNamespace(runtime=SimpleNamespace(name="toy"), pin="p", head="c", hash="h", code="r", taken=[])
EVIDENCE = Path(__file__).parent.parent.parent / "evidence"


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Workspace:
    """A workspace that raises if its environment is used."""

    def ensure(*_: Any) -> None:
        raise AssertionError("the environment was asked for")

    monkeypatch.setattr(patchkit.environments, "ensure", ensure)
    return Workspace(Settings(Project(tmp_path, tmp_path / "state"), "toy", "0.20"))


def refusal(what: str) -> Any:
    def refuse(*_: Any) -> None:
        raise PatchkitError(what)

    return refuse


def test_an_edited_pin_or_a_bad_series_comes_first(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patchkit.series, "patched_tree", refusal("not the pinned upstream"))
    for use in (lambda: workspace.prepare([]), lambda: workspace.environment, lambda: workspace.worker_client):
        with pytest.raises(PatchkitError, match="not the pinned upstream"):
            use()


def test_a_missing_model_comes_first(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patchkit.series, "patched_tree", lambda *_: SimpleNamespace())
    scenario: Any = SimpleNamespace(parts=[SimpleNamespace(model="./nowhere")])
    with pytest.raises(PatchkitError, match="there is no model at nowhere"):
        workspace.prepare([scenario])
    with pytest.raises(AssertionError, match="the environment was asked for"):
        workspace.prepare([])


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (
            {"release": "9.9.9"},
            r"^no lock for vLLM 9\.9\.9 on cpu .*; make one with `patchkit lock 9\.9\.9`, or use --python",
        ),
        (
            {"device": "cuda"},
            r"^no environment .* on cuda was built; `patchkit env --vllm 0\.20\.0 --device cuda` builds",
        ),
        ({"python": Path("/nowhere")}, "^--python /nowhere: there is no such file"),
    ],
)
def test_what_no_environment_can_come_from_is_said_before_a_model_is_fetched(
    more: dict[str, Any], why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def ensure_model(*_: Any) -> None:
        raise AssertionError("a model was asked for")

    monkeypatch.setattr(patchkit.environments, "ensure_model", ensure_model)
    monkeypatch.setattr(patchkit.series, "patched_tree", lambda *_: SimpleNamespace())
    settings: dict[str, Any] = {"release": "0.20.0", "model": "smollm2-135m", **more}
    workspace = Workspace(Settings(Project(tmp_path, tmp_path / "state"), "toy", **settings))
    scenario: Any = SimpleNamespace(parts=[SimpleNamespace(model="smollm2-135m")])
    for use in (lambda: workspace.prepare([scenario]), lambda: workspace.environment, lambda: workspace.worker_client):
        with pytest.raises(PatchkitError, match=why):
            use()


@pytest.mark.parametrize("command", ["gate", "knockout", "bench accuracy --model smollm2-135m --task arithmetic-3"])
def test_a_release_without_a_lock_leaves_the_cache_empty(command: str, tmp_path: Path) -> None:
    words = [*command.split(), "--vllm", "0.20.99"]
    words += ["--unproven"] if "accuracy" in command else []
    (tmp_path / "patches").mkdir()
    assert in_this_process.run("init", "mine", cwd=tmp_path).returncode == 0
    done = in_this_process.run(*words, cwd=tmp_path, PATCHKIT_HOME=str(tmp_path / "cache"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "no lock for vLLM 0.20.99" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("written", ["0.20", "0.20.0", "v0.20.0"])
def test_a_release_has_one_name(written: str, tmp_path: Path) -> None:
    assert Settings(Project(tmp_path, tmp_path), "toy", written).release == "0.20.0"


def test_under_cuda_graphs_only_what_is_not_timed_goes_without_code(tmp_path: Path) -> None:
    def settings(**more: Any) -> Settings:
        return Settings(Project(tmp_path, tmp_path), "toy", "0.26.0", **more)

    part = make_part("alive")
    timed = make_part("finished", watch=["timing"])
    graphs = settings(device="cuda", mode="graphs", engine=(("async_scheduling", False),))
    assert graphs.engine_of(part) == {
        "enforce_eager": False,
        "compilation_config": {"backend": "eager", "custom_ops": ["none"]},
        "async_scheduling": False,
    }
    assert graphs.engine_of(timed) == {"enforce_eager": False, "async_scheduling": False}
    assert settings(mode="graphs").engine_of(part) == {"enforce_eager": False}
    assert settings(device="cuda").engine_of(part) == {}  # a part that compiles by itself has the code that users get


def test_evidence_names_the_files() -> None:
    assert (RuntimeUsed.of(TREE).tree, RuntimeUsed.of(TREE).code) == ("h", "r")


def test_evidence_of_other_files_admits_no_benchmark(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patchkit.series, "patched_tree", lambda *_: TREE)
    evidence = Evidence(kind="gate", release="0.20.0", device="cpu", runtime=RuntimeUsed.of(TREE))
    assert same_tree(evidence, workspace)
    evidence.runtime.commit = "another"  # of the same files: only the header of a patch says something else
    assert same_tree(evidence, workspace)
    evidence.runtime.commit = "c"
    evidence.runtime.tree = "another"  # of the same code: only a comment says something else
    assert same_tree(evidence, workspace)
    evidence.runtime.code = "another"
    assert not same_tree(evidence, workspace)
    evidence.runtime.code = ""
    assert not same_tree(evidence, workspace)
    evidence.runtime.tree = ""  # older: its commit still says which tree it was
    assert same_tree(evidence, workspace)
    evidence.runtime.commit = "another"
    assert not same_tree(evidence, workspace)


def test_older_evidence_is_read() -> None:
    files = [path for path in EVIDENCE.glob("gate-*.json") if '"tree"' not in path.read_text()]
    assert files
    assert all(read_evidence(path).runtime.tree == "" for path in files)
