"""Breaks the runtime in ways that raise no error, and checks that a gate goes red for each of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from patchkit.gates.loading import load_scenarios
from patchkit.gates.runner import Runner
from patchkit.gates.settings import Settings
from patchkit.gates.workspace import Workspace
from patchkit.project import find_project

from .conftest import CHECKOUT, RELEASE

NOT_WRITTEN = ("method/intervention.py", "        logits.index_copy_(0, rows[part], after)\n", "")
EVERY_SECOND = (
    "method/intervention.py",
    "        logits.index_copy_(0, rows[part], after)\n",
    "        logits.index_copy_(0, rows[part][::2], after[::2])\n",
)
SIGN = ("method/intervention.py", "before - predicted, alpha=beta", "predicted - before, alpha=beta")
NO_TEMPERATURE = ("method/intervention.py", "        if temperature is not None:\n", "        if False:\n")
GREEDY_FIRST = (
    "engine/sampling.py",
    "    intervene(logits, temperature)\n    best = None if metadata.all_random else logits.argmax(dim=-1)\n",
    "    best = None if metadata.all_random else logits.argmax(dim=-1)\n    intervene(logits, temperature)\n",
)
HIGHEST = (
    "engine/sampling.py",
    "    return (drawn if best is None else torch.where(greedy, best, drawn)), processed\n",
    "    return logits.argmax(dim=-1), processed\n",
)

NO_STEP = ("engine/hooks.py", '            (LLMEngine, "step", hooked_step),\n', "")
NO_EXECUTE = ("engine/hooks.py", '            (GPUModelRunner, "execute_model", hooked_execute_model),\n', "")
NO_PREPARE = ("engine/hooks.py", '            (GPUModelRunner, "_prepare_inputs", hooked_prepare_inputs),\n', "")
NO_SAMPLE = ("engine/hooks.py", '            (Sampler, "sample", hooked_sample),\n', "")
NO_TAP = ("engine/taps.py", "        norm.forward = self\n", "        norm.forward = norm.forward\n")
NO_ROWS = ("engine/rows.py", "newest = computed + 1 ==", "newest = computed + 2 ==")


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    with Workspace(Settings(find_project(CHECKOUT), "esamp", RELEASE)) as workspace:
        yield workspace


@pytest.mark.parametrize(
    ("gate", "change", "said"),
    [
        ("identity", NOT_WRITTEN, "logits: row"),
        ("identity", EVERY_SECOND, "logits: row"),
        ("identity", SIGN, "logits: row"),
        ("identity", NO_TEMPERATURE, "logits: row"),
        ("identity", HIGHEST, "its token is not the one that was drawn for it"),
        ("mixed_batch", GREEDY_FIRST, "a greedy row did not take its highest logit"),
        ("identity", NO_STEP, "LLMEngine.step is not what steps the engine"),
        ("identity", NO_EXECUTE, "GPUModelRunner.execute_model was not called around _prepare_inputs"),
        ("identity", NO_PREPARE, "GPUModelRunner._prepare_inputs was not called in a step that ran the model"),
        ("identity", NO_SAMPLE, "Sampler.sample was not called in a step with tokens to sample"),
        ("identity", NO_TAP, "RMSNorm.forward was not called in the forward of a tapped block"),
        ("identity", NO_ROWS, "InputBatch never showed a row that decodes"),
    ],
    ids=[
        "not written",
        "every second row",
        "sign",
        "no temperature",
        "highest logit in place of a draw",
        "greedy before the intervention",
        "step not hooked",
        "execute_model not hooked",
        "_prepare_inputs not hooked",
        "sample not hooked",
        "not tapped",
        "no rows found",
    ],
)
def test_a_silent_break_is_red(
    workspace: Workspace, tmp_path: Path, gate: str, change: tuple[str, str, str], said: str
) -> None:
    tree = replace(workspace.tree, path=tmp_path / "tree")
    shutil.copytree(workspace.tree.path, tree.path)
    name, old, new = change
    file = tree.path / "esamp" / name
    assert file.read_text().count(old) == 1
    file.write_text(file.read_text().replace(old, new))
    verdict = Runner(workspace).run_until_red(
        load_scenarios(workspace.settings.project, workspace.settings.runtime)[gate], tree
    )
    assert not verdict.passed
    assert said in " ".join(verdict.reasons)
