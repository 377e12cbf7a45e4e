"""One pytest session: its runner, the scenarios queued on it, and the verdicts so far."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from patchkit.errors import PatchkitError
from patchkit.gates.evidence import Verdict
from patchkit.gates.gpus import gpu_of
from patchkit.gates.runner import Queued, Runner
from patchkit.gates.scenario import Scenario
from patchkit.gates.settings import Settings
from patchkit.gates.workspace import Workspace
from patchkit.project import Project, find_project

SESSION: pytest.StashKey[PytestSession] = pytest.StashKey()


class PytestSession:
    """A runner, and the order in which scenarios run on it.

    Args:
        spread: this is one of several processes of xdist.
    """

    def __init__(self, settings: Settings, spread: bool = False) -> None:
        self.runner = Runner(Workspace(settings))
        self._spread = spread
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
            return self.runner.run(scenario)
        if item.nodeid not in self._queued:
            self._queue_gates(item.session.items)
        return self.runner.verdict(self._queued[item.nodeid])

    def _queue_gates(self, items: list[pytest.Item]) -> None:
        for item in items:
            scenario: Scenario | None = getattr(item, "scenario", None)
            release = self.runner.workspace.settings.release
            wanted = scenario is not None and scenario.is_for(release)
            wanted = wanted and not getattr(item, "left_out", "")
            if scenario is not None and wanted and item.nodeid not in self._queued:
                self._queued[item.nodeid] = self.runner.queue(scenario)

    def close(self) -> None:
        """End every worker."""
        self.runner.workspace.close()


def session_of(config: pytest.Config) -> PytestSession:
    """The session of a pytest run, made at first use; its workers end with the run."""
    if SESSION not in config.stash:
        spread = hasattr(config, "workerinput")
        config.stash[SESSION] = PytestSession(settings_of(config), spread)
        config.add_cleanup(config.stash[SESSION].close)
    return config.stash[SESSION]


def settings_of(config: pytest.Config) -> Settings:
    """The settings on pytest's command line; of several processes of xdist each has one worker, and one GPU.

    Raises:
        PatchkitError: there are more processes than engines fit on the GPUs.
    """
    process: dict[str, Any] | None = getattr(config, "workerinput", None)

    def option(name: str) -> Any:
        return config.getoption(f"patchkit_{name}")

    project, runtime = find_project(config.rootpath), runtime_of(config)
    named = option("vllm") or os.environ.get("PATCHKIT_VLLM")
    settings = Settings(
        project=project,
        runtime=runtime,
        release=default_release(project, runtime) if named in (None, "", "latest") else named,
        device=option("device"),
        python=Path(option("python")) if option("python") else None,
        model=option("model"),
        without=tuple(option("without")),
        workers=1 if process else option("workers"),
        runner=option("runner"),
        mode="graphs" if option("graphs") else "eager",
    )
    if process is None or settings.device == "cpu":
        return settings
    gpu = gpu_of(int(process["workerid"].removeprefix("gw")), process["workercount"], settings.release)
    return settings.with_variables(("CUDA_VISIBLE_DEVICES", gpu)) if gpu else settings


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
