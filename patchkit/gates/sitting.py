"""One pytest session's rigs, the scenarios begun on them, and what was judged so far."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from patchkit.errors import PatchkitError
from patchkit.gates.cards import cards
from patchkit.gates.evidence import Verdict
from patchkit.gates.rig import Begun, Rig, Settings
from patchkit.project import Project, find_project

if TYPE_CHECKING:
    from patchkit.gates.items import ScenarioItem


class Sitting:
    """A rig (with xdist on several GPUs, one a card), and the order in which scenarios run on it."""

    def __init__(self, rig: Rig, spread: bool = False) -> None:
        self.rig = rig
        self._spread = spread
        self._rigs = {"": rig}
        self._begun: dict[str, Begun] = {}
        self._judged: dict[str, Verdict] = {}
        self._failure: PatchkitError | None = None

    @classmethod
    def of(cls, config: pytest.Config) -> Sitting:
        """A sitting as the command line of pytest wants it."""
        spread = hasattr(config, "workerinput")
        project = find_project(config.rootpath)
        python = config.getoption("--python")
        runtime = config.getoption("--runtime") or project.only_runtime()
        settings = Settings(
            project=project,
            runtime=runtime,
            release=config.getoption("--vllm") or os.environ.get("PATCHKIT_VLLM") or default_release(project, runtime),
            device=config.getoption("--device"),
            python=Path(python) if python else None,
            model=config.getoption("--model"),
            without=tuple(config.getoption("--without")),
            workers=1 if spread else config.getoption("--scenario-workers"),
        )
        return cls(Rig(settings), spread)

    def verdict_on(self, item: ScenarioItem) -> Verdict:
        """Run one item. The first gate begins all of them, so that they overlap; a benchmark waits for every gate."""
        if self._failure:
            raise self._failure
        scenario = item.scenario
        try:
            if scenario.kind == "benchmark":
                self._admit(item)
                verdict = self.rig.run(scenario)
            elif self._spread:
                rig = self._rig_of(item)
                verdict = rig.run(scenario)
            else:
                self._begin_all(item)
                verdict = self.rig.finish(self._begun[item.nodeid])
        except PatchkitError as error:
            if scenario.kind == "gate":
                self._failure = error
            raise
        self._judged[scenario.name] = verdict
        return verdict

    def _begin_all(self, item: ScenarioItem) -> None:
        if item.nodeid in self._begun:
            return
        for other in item.session.items:
            scenario = getattr(other, "scenario", None)
            if scenario is not None and scenario.kind == "gate" and other.nodeid not in self._begun:
                self._begun[other.nodeid] = self.rig.begin(scenario)

    def _admit(self, item: ScenarioItem) -> None:
        """Refuse a benchmark that would measure beside others, or while a gate is red or unknown."""
        if self._spread:
            pytest.skip("a benchmark measures alone: run it without xdist")
        from patchkit.bench.admission import admit

        admit(self.rig, self._judged)

    def _rig_of(self, item: ScenarioItem) -> Rig:
        """The rig of the card that xdist tied this item to; with no or one card, the only rig."""
        group = item.get_closest_marker("xdist_group")
        if group is None or len(cards()) == 1:
            return self.rig
        name = str(group.args[0])
        if name not in self._rigs:
            card = cards()[int(name.removeprefix("card"))]
            settings = replace(self.rig.settings, variables=(("CUDA_VISIBLE_DEVICES", card),))
            self._rigs[name] = Rig(settings)
        return self._rigs[name]

    def close(self) -> None:
        """End every worker."""
        for rig in self._rigs.values():
            rig.close()


def default_release(project: Project, runtime: str) -> str:
    """The newest release that the series was proven on: of those whose environment is there, or else of all."""
    from packaging.version import Version

    from patchkit.environments.verbs import listed
    from patchkit.series.manifest import load_manifest

    manifest = load_manifest(project, runtime)
    built = {record["release"] for record in listed() if record["whole"]}
    able = [release for release in manifest.proven if release in built] or manifest.proven
    return max(able, key=Version, default=manifest.developed_on)
