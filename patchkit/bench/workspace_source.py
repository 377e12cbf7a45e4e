"""Samples from the workers of a workspace: the release, the patched tree and the hardware are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from patchkit.bench.accuracy import LoadedTask, drawn
from patchkit.bench.digests import model_digest
from patchkit.bench.journal import DrawPlan
from patchkit.bench.liveness import RequiredCounters
from patchkit.bench.plan import Plan
from patchkit.bench.sampling import DrawRequest
from patchkit.bench.shards import Shard
from patchkit.errors import PatchkitError
from patchkit.evals.records import BASELINE
from patchkit.gates.workspace import Workspace
from patchkit.series.manifest import FigureMinimum, Manifest


class WorkspaceSource:
    """The workers of a workspace, each of which draws a share of the problems."""

    def __init__(self, plan: Plan, workspace: Workspace, shards: Sequence[Shard]) -> None:
        self._plan, self._workspace, self._shards = plan, workspace, shards
        self._known = workspace.circumstances()

    @property
    def settings(self) -> Mapping[str, Any]:
        """The runtime's defaults, and what the plan sets in every mode."""
        return {**self._workspace.tree.runtime.defaults, **self._plan.settings}

    @property
    def figures(self) -> Sequence[FigureMinimum]:
        """What a verdict needs of the runtime's probe."""
        return self._workspace.tree.runtime.figures

    def draw_plan(self, model: str, loaded: LoadedTask, mode: str, trial: int) -> DrawPlan:
        """Every version, the hardware, the tree and the settings."""
        patched, tree = mode != BASELINE, self._workspace.tree
        return DrawPlan(
            release=self._plan.vllm,
            device=self._plan.device,
            hardware=self._known.hardware,
            versions=self._known.versions,
            **drawn(self._plan, model, loaded, mode, trial),
            model_digest=model_digest(Path(self._workspace.model(model))),
            sampling=self._plan.sampling,
            engine=self._plan.engine,
            settings={**tree.runtime.defaults, **self._plan.settings_of(mode)} if patched else {},
            tree=tree.hash if patched else "",
        )

    def request(self, model: str, loaded: LoadedTask, mode: str) -> DrawRequest:
        """What each worker is sent; see docs/worker-protocol.md."""
        tree, patched = self._workspace.tree, mode != BASELINE
        spec: dict[str, Any] = {
            "patched": patched,
            "n": self._plan.n,
            "max_tokens": loaded.max_tokens,
            "sampling": self._plan.sampling,
            "engine": self._plan.engine,
            "runtime": self._plan.settings_of(mode),
            "neighbours": len(self._shards),
        }
        request = {
            "model": self._workspace.model(model),
            "tree": str(tree.path) if patched else None,
            "probe": str(tree.runtime.probe) if patched and tree.runtime.probe else None,
            "start": tree.runtime.start,
            "defaults": tree.runtime.defaults,
            "device": self._plan.device,
            "draw": spec,
        }
        return DrawRequest(
            request,
            self._shards,
            required_counters(tree.runtime, self._plan.settings_of(mode)) if patched else RequiredCounters(),
        )


def required_counters(runtime: Manifest, settings: Mapping[str, Any]) -> RequiredCounters:
    """What the runtime's counters must be under these settings.

    Raises:
        PatchkitError: it declares no counter that would show that it is inactive.
    """
    found = RequiredCounters({name: one.must_be for name, one in runtime.counters.items()}, runtime.idle_with(settings))
    if not found.show_use:
        raise PatchkitError(
            f"{runtime.name} has no counter that must be decode_rows or decode_steps, to show that it is in use",
            f"declare one under `counters` in {runtime.folder / 'runtime.yaml'}",
        )
    return found
