"""What is cheap is checked before an environment is built; evidence says which files it is of."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import patchkit.environments
import patchkit.series
from patchkit.bench.admission import same_tree
from patchkit.errors import PatchkitError
from patchkit.gates.evidence import Evidence, read_evidence
from patchkit.gates.rig import Rig, Settings, runtime_used
from patchkit.project import Project

EVIDENCE = Path(__file__).parent.parent.parent / "evidence"


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Rig:
    """A rig whose environment says that it was asked for."""

    def ensure(*_: Any) -> None:
        raise AssertionError("the environment was asked for")

    monkeypatch.setattr(patchkit.environments, "ensure", ensure)
    return Rig(Settings(Project(tmp_path, tmp_path / "state"), "toy", "0.20"))


def refusal(what: str) -> Any:
    def refuse(*_: Any) -> None:
        raise PatchkitError(what)

    return refuse


def test_an_edited_pin_or_a_bad_series_comes_first(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patchkit.series, "patched_tree", refusal("not the pinned upstream"))
    for ask in (lambda: rig.prepare([]), lambda: rig.environment, lambda: rig.server):
        with pytest.raises(PatchkitError, match="not the pinned upstream"):
            ask()


def test_a_missing_model_comes_first(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patchkit.series, "patched_tree", lambda *_: SimpleNamespace())
    scenario: Any = SimpleNamespace(parts=[SimpleNamespace(model="./nowhere")])
    with pytest.raises(PatchkitError, match="there is no model at nowhere"):
        rig.prepare([scenario])
    with pytest.raises(AssertionError, match="the environment was asked for"):
        rig.prepare([])


@pytest.mark.parametrize("written", ["0.20", "0.20.0", "v0.20.0"])
def test_a_release_has_one_name(written: str, tmp_path: Path) -> None:
    assert Settings(Project(tmp_path, tmp_path), "toy", written).release == "0.20.0"


def test_evidence_names_the_files() -> None:
    tree: Any = SimpleNamespace(runtime=SimpleNamespace(name="toy"), pin="p", head="c", hash="h", taken=[])
    assert runtime_used(tree, ()).tree == "h"


def test_evidence_of_other_files_admits_no_benchmark(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    tree: Any = SimpleNamespace(runtime=SimpleNamespace(name="toy"), pin="p", head="c", hash="h", taken=[])
    monkeypatch.setattr(patchkit.series, "patched_tree", lambda *_: tree)
    evidence = Evidence(kind="gate", release="0.20.0", device="cpu", runtime=runtime_used(tree, ()))
    assert same_tree(evidence, rig)
    evidence.runtime.tree = "another"
    assert not same_tree(evidence, rig)
    evidence.runtime.tree = ""  # older: its commit still says which tree it was
    assert same_tree(evidence, rig)
    evidence.runtime.commit = "another"
    assert not same_tree(evidence, rig)


def test_older_evidence_is_read() -> None:
    files = [path for path in EVIDENCE.glob("gate-*.json") if '"tree"' not in path.read_text()]
    assert files
    assert all(read_evidence(path).runtime.tree == "" for path in files)
