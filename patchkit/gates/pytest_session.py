"""One pytest session: its runner, the scenarios queued on it, and the verdicts so far."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from patchkit.errors import PatchkitError
from patchkit.gates.evidence import Verdict
from patchkit.gates.gpus import gpus
from patchkit.gates.runner import Queued, Runner
from patchkit.gates.scenario import Scenario
from patchkit.gates.settings import Settings
from patchkit.gates.workspace import Workspace
from patchkit.project import Project, find_project

SESSION: pytest.StashKey[Session] = pytest.StashKey()


class Session:
    """A runner (with xdist on several GPUs, one a GPU), and the order in which scenarios run on it.

    Args:
        spread: this is one of several processes of xdist.
    """

    def __init__(self, settings: Settings, spread: bool = False) -> None:
        self.runner = Runner(Workspace(settings))
        self._spread = spread
        self._runners = {"": self.runner}
        self._queued: dict[str, Queued] = {}
        self._failure: PatchkitError | None = None

    def verdict_on(self, item: pytest.Item, scenario: Scenario) -> Verdict:
        """Run one item. The first queues all of them, so that they overlap."""
        if self._failure:
            raise self._failure
        try:
            return self._run(item, scenario)
        except PatchkitError as error:
            self._failure = error
            raise

    def _run(self, item: pytest.Item, scenario: Scenario) -> Verdict:
        if self._spread:
            return self._runner_of(item).run(scenario)
        if item.nodeid not in self._queued:
            self._queue_gates(item.session.items)
        return self.runner.verdict(self._queued[item.nodeid])

    def _queue_gates(self, items: list[pytest.Item]) -> None:
        for item in items:
            scenario: Scenario | None = getattr(item, "scenario", None)
            release = self.runner.workspace.settings.release
            wanted = scenario is not None and scenario.is_for(release)
            wanted = wanted and not getattr(item, "eager_only", "")
            if scenario is not None and wanted and item.nodeid not in self._queued:
                self._queued[item.nodeid] = self.runner.queue(scenario)

    def _runner_of(self, item: pytest.Item) -> Runner:
        """The runner of the GPU that xdist tied this item to; with none or one GPU, the only one."""
        group = item.get_closest_marker("xdist_group")
        if group is None or len(gpus()) == 1:
            return self.runner
        name = str(group.args[0])
        if name not in self._runners:
            gpu = gpus()[int(name.removeprefix("gpu"))]
            self._runners[name] = Runner(
                Workspace(self.runner.workspace.settings.with_variables(("CUDA_VISIBLE_DEVICES", gpu)))
            )
        return self._runners[name]

    def close(self) -> None:
        """End every worker."""
        for runner in self._runners.values():
            runner.workspace.close()


def session_of(config: pytest.Config) -> Session:
    """The session of a pytest run, made at first use; its workers end with the run."""
    if SESSION not in config.stash:
        spread = hasattr(config, "workerinput")
        config.stash[SESSION] = Session(settings_of(config, spread), spread)
        config.add_cleanup(config.stash[SESSION].close)
    return config.stash[SESSION]


def settings_of(config: pytest.Config, spread: bool = False) -> Settings:
    """The settings on pytest's command line; with several processes, each has one worker."""

    def option(name: str) -> Any:
        return config.getoption(f"patchkit_{name}")

    project, runtime = find_project(config.rootpath), runtime_of(config)
    named = option("vllm") or os.environ.get("PATCHKIT_VLLM")
    return Settings(
        project=project,
        runtime=runtime,
        release=default_release(project, runtime) if named in (None, "", "latest") else named,
        device=option("device"),
        python=Path(option("python")) if option("python") else None,
        model=option("model"),
        without=tuple(option("without")),
        workers=1 if spread else option("workers"),
        runner=option("runner"),
        mode="graphs" if option("graphs") else "eager",
    )


def runtime_of(config: pytest.Config) -> str:
    """The runtime that was named, or the project's only one."""
    return config.getoption("patchkit_runtime") or find_project(config.rootpath).only_runtime()


def default_release(project: Project, runtime: str) -> str:
    """The newest release that the series was proven on, preferably one with an environment that is built."""
    from packaging.version import Version

    from patchkit.environments.listing import listed
    from patchkit.series.manifest import load_manifest

    manifest = load_manifest(project, runtime)
    built = {record["release"] for record in listed() if record["whole"] and record["runner"] == "v1"}
    able = [release for release in manifest.proven if release in built] or manifest.proven
    return max(able, key=Version, default=manifest.developed_on)
