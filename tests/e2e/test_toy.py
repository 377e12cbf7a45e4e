"""A second runtime, which only hooks ``Sampler.sample``: the shared gates judge it, right or wrong.

It has no probe, and one counter. Each ``fault`` of it is one that generic checks must see. And each fault that is
injected into vLLM must leave plain vLLM as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from patchkit.gates.evidence import Verdict
from patchkit.gates.loading import load_scenarios
from patchkit.gates.runner import Runner
from patchkit.gates.scenario import Fault, load_scenario
from patchkit.gates.settings import Settings
from patchkit.gates.workspace import Workspace
from patchkit.project import Project
from patchkit.series.pin import tree_hash, upstream_blobs

from .conftest import CHECKOUT, RELEASE

CODE = '''
"""Counts; and does one thing wrong if a setting says so."""

import torch
from vllm.v1.sample.sampler import Sampler


class Runtime:
    def __init__(self, fault, after):
        self.steps, self.rows, original, runtime = 0, 0, Sampler.sample, self

        def sample(sampler, logits, metadata, *rest, **named):
            runtime.steps += 1
            if runtime.steps <= after or not fault:
                return original(sampler, logits, metadata, *rest, **named)
            if fault == "raises":
                raise RuntimeError("it broke")
            if fault == "moves":
                logits += torch.linspace(0, 1, logits.shape[1])
            if fault == "shifts":
                logits += 0.125
            if fault == "forbids":
                logits[:, ::2] = float("-inf")
            if fault == "draws_twice" and not metadata.all_greedy:
                original(sampler, logits.clone(), metadata, *rest, **named)
            if fault == "unfilters":
                metadata.top_p = None
            if fault == "loses_bias":
                logits = torch.where(logits > 50, logits - 100, logits)
            result = original(sampler, logits, metadata, *rest, **named)
            if fault == "highest":
                result[0][:] = logits.argmax(-1)
            if fault == "lowest":
                result[0][:] = logits.argmin(-1)
            return result

        Sampler.sample, self.original = sample, original

    def counters(self):
        return {"steps": self.steps}

    def uninstall(self):
        Sampler.sample = self.original


def install(fault="", after=4, stubborn=""):
    return Runtime(fault or stubborn, after)
'''
MANIFEST = """\
name: toy
package: toy
upstream: {{path: upstream, tree: {tree}}}
developed_on: "0.20.0"
start: toy:install
off: {{fault: ''}}
counters:
  steps: {{must_be: positive, means: steps in which tokens were sampled}}
"""


def make_project(root: Path) -> Project:
    """A project with the shared scenarios and the toy runtime."""
    folder = root / "patches" / "toy"
    (folder / "upstream" / "toy").mkdir(parents=True)
    (folder / "upstream" / "toy" / "__init__.py").write_text(CODE)
    (folder / "series").write_text("")
    (root / "scenarios").symlink_to(CHECKOUT / "scenarios")
    project = Project(root, root / ".patchkit")
    tree = tree_hash(upstream_blobs(folder / "upstream"))
    (folder / "runtime.yaml").write_text(MANIFEST.format(tree=tree))
    return project


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    project = make_project(tmp_path_factory.mktemp("toy"))
    with Workspace(Settings(project, "toy", RELEASE)) as workspace:
        yield workspace


def test_a_runtime_without_probe_and_rows_runs_and_what_it_lacks_is_said(workspace: Workspace) -> None:
    scenarios = load_scenarios(workspace.settings.project, "toy")
    assert Runner(workspace).run(scenarios["neutrality"]).passed
    verdict = Runner(workspace).run(scenarios["multi_generate"])
    said = "toy declares no counter that must be decode_rows: say it under `counters` in patches/toy/runtime.yaml"
    assert f"calls: {said}" in verdict.reasons
    assert "has no probe to poison with" in Runner(workspace).run(scenarios["gather_check"]).reason


WORKLOAD = {
    "calls": [
        {
            "groups": [
                {
                    "prompts": {"kind": "random", "count": 3, "tokens": [6, 12], "seed": 30},
                    "max_tokens": 10,
                    "sampling": {"temperature": 0.9, "top_p": 0.8, "ignore_eos": True},
                    "seed": 83,
                },
                {
                    "prompts": {"kind": "random", "count": 2, "tokens": [6, 12], "seed": 31},
                    "max_tokens": 10,
                    "sampling": {"temperature": 0.0, "ignore_eos": True},
                },
            ]
        }
    ]
}


def judged(workspace: Workspace, *invariants: Any, **part: Any) -> Verdict:
    parts = [{"name": "p", **WORKLOAD, "invariants": [*invariants], **part}]
    return Runner(workspace).run(load_scenario({"name": "mine", "title": "t", "guards": "g", "parts": parts}))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("highest", "its token is not the one that was drawn for it"),
        ("lowest", "its token is not the one that was drawn for it"),
        ("draws_twice", "vLLM's sampler was called 2 times, not once"),
        ("forbids", "other tokens survive than vLLM's filters keep"),
        ("moves", "other tokens survive than vLLM's filters keep"),
        ("unfilters", "other tokens survive than vLLM's filters keep"),
        ("raises", "RuntimeError: it broke, at step 5 of call 0"),
    ],
)
def test_sampling_that_is_wrong_is_seen_at_its_first_step(workspace: Workspace, fault: str, said: str) -> None:
    verdict = judged(workspace, "sampled", runtime={"fault": fault, "after": 4})
    assert said in verdict.reason
    assert verdict.step == 5


def test_sampling_that_is_right_is_green_also_where_logits_are_moved(workspace: Workspace) -> None:
    assert judged(workspace, {"sampled": {"greedy": 18, "drawn": 27}}, "alive").passed
    assert judged(workspace, "sampled", runtime={"fault": "shifts"}).passed


def test_off_means_that_no_bit_of_a_logit_is_touched(workspace: Workspace) -> None:
    assert judged(workspace, "sampled", off=True, runtime={"fault": "shifts"}).passed, "off goes on top"
    stubborn = judged(workspace, "sampled", off=True, runtime={"stubborn": "shifts"})
    assert "its logits are not plain vLLM's, though off" in stubborn.reason
    assert stubborn.step == 5


def test_several_installs_are_passes_of_their_own(workspace: Workspace) -> None:
    installs = [{}, {"fault": "highest", "after": 2}, {}]
    assert judged(workspace, "alive", "same_tokens", runtime=[{}, {}], passes=["plain", "patched"]).passed
    verdict = judged(workspace, "sampled", "same_tokens", runtime=installs, passes=["plain", "patched"])
    assert "its token is not the one that was drawn for it" in verdict.reasons[0]
    assert "plain vLLM gives" in verdict.reasons[1]


def test_a_feature_that_is_lost_is_seen(workspace: Workspace) -> None:
    features = load_scenarios(workspace.settings.project, "toy")["features"]
    (on,) = (part for part in features.parts if part.name == "honoured")
    raw = msgspec.to_builtins(on) | {"runtime": {"fault": "loses_bias"}, "invariants": ["honoured"]}
    verdict = Runner(workspace).run(load_scenario({"name": "f", "title": "t", "guards": "g", "parts": [raw]}))
    assert "logit_bias is not honoured: token " in verdict.reason


TWO_CALLS = WORKLOAD["calls"] * 2


@pytest.fixture(scope="module")
def without_fault(workspace: Workspace) -> list[list[int]]:
    """The tokens that every run with a fault must give too; seeded, so that one run stands for all."""
    return tokens_of(workspace, TWO_CALLS, [])


@pytest.mark.parametrize("fault", get_args(Fault))
@pytest.mark.parametrize("when", ["at start", "between calls", "in mid-run"])
def test_under_every_fault_vllm_itself_works_on(
    workspace: Workspace, without_fault: list[list[int]], fault: str, when: str
) -> None:
    injected = {
        "at start": fault,
        "between calls": {"fault": fault, "call": 1},
        "in mid-run": {"fault": fault, "call": 1, "step": 3},
    }
    assert tokens_of(workspace, TWO_CALLS, [injected[when]]) == without_fault


def tokens_of(workspace: Workspace, calls: Any, faults: list[Any]) -> list[list[int]]:
    """Every token that plain vLLM makes."""
    raw = {"name": "p", "calls": calls, "passes": ["plain"], "faults": faults, "invariants": ["finished"]}
    scenario = load_scenario({"name": "plain", "title": "t", "guards": "g", "parts": [raw]})
    run = Runner(workspace).queue(scenario).runs[0].result()
    assert run.error is None and run.result is not None, run.last_words
    return [output.token_ids for call in run.result.passes[0].calls for output in call.outputs]
