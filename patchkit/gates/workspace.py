"""The workspace that scenarios run on: one environment, its running worker, and the trees of the patched runtime."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import structs

from patchkit import __version__
from patchkit.console import working
from patchkit.gates.evidence import Circumstances, Evidence, RuntimeUsed, Versions, hardware, now, this_command
from patchkit.gates.gpus import gpus_for, how_many_workers
from patchkit.gates.scenario import Scenario
from patchkit.gates.settings import Settings
from patchkit.gates.worker_client import WorkerClient

if TYPE_CHECKING:
    from patchkit.environments import Environment
    from patchkit.series import Patch, Tree

INTERPRETED = 6
"""A row takes Triton's interpreter 9 ms beyond what the model takes, which the same kernels do in microseconds."""
COMPILED = 3
"""A load that traces, compiles and captures takes up to a minute, of which a scenario's own limit knows nothing."""


class Workspace:
    """Everything is made when it is first needed, once; ``close`` ends the worker."""

    def __init__(self, settings: Settings, taking_turns: int = 0) -> None:
        """Nothing is made yet.

        Args:
            taking_turns: engines that are held at once and share one device, of which the caller lets one work at a
                time; 0: each run has a device to itself.
        """
        self.settings = settings
        self.made = time.monotonic()
        self.workers = taking_turns or how_many_workers(settings.workers, settings.device, settings.release)
        self._share_device = taking_turns > 0
        self.runners_seen: set[str] = set()
        self._models: dict[str, str] = {}
        self._trees: dict[tuple[str, ...], Tree] = {}
        self._worker_client: WorkerClient | None = None

    @cached_property
    def environment(self) -> Environment:
        """The environment, built if it is missing: that is 5 GB, so pin, series and model are checked first."""
        from patchkit.environments import ensure

        self.check()
        if self.settings.model:
            self.model(self.settings.model)
        settings = self.settings
        return ensure(settings.release, settings.device, settings.python, settings.runner)

    @property
    def worker_client(self) -> WorkerClient:
        """The worker's client; the worker is importing vLLM or ready."""
        if self._worker_client is None:
            self._worker_client = WorkerClient(
                self.environment,
                self.workers,
                variables=self.variables,
                gpus=[] if self._share_device else gpus_for(self.workers, self.settings.device),
            )
            self._worker_client.start()
        return self._worker_client

    @property
    def slowness(self) -> int:
        """How many times as long a part may be silent, and take in all, before it is stopped."""
        interpreted = INTERPRETED if (self.settings.device, self.settings.runner) == ("cpu", "v2") else 1
        return interpreted * (COMPILED if self.settings.mode == "graphs" else 1)

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables beyond those that every worker has."""
        variables = dict(self.settings.variables)
        if self.settings.model and not Path(self.model(self.settings.model)).is_dir():
            variables["HF_HUB_OFFLINE"] = "0"  # an id on the hub: vLLM fetches it
        return variables

    @property
    def tree(self) -> Tree:
        """The runtime with the series applied, without the patches that the user left out."""
        return self.tree_without(self.settings.without)

    def tree_without(self, names: Iterable[str]) -> Tree:
        """The runtime with the series applied, without these patches."""
        from patchkit.series import patched_tree

        key = tuple(names)
        if key not in self._trees:
            self._trees[key] = patched_tree(self.settings.project, self.settings.runtime, self.settings.release, key)
        return self._trees[key]

    def model(self, name: str) -> str:
        """The model's folder or hub id; the user's choice overrides the part's."""
        from patchkit.environments import ensure_model

        wanted = self.settings.model or name
        if wanted not in self._models:
            self._models[wanted] = str(ensure_model(wanted))
        return self._models[wanted]

    def prepare(self, scenarios: Sequence[Scenario]) -> None:
        """Prepare everything, cheap checks first; a PatchkitError says what is missing.

        Pin, series and lock come before the models, which may have to be fetched, then the environment.
        """
        self.check()
        for name in {part.model for scenario in scenarios for part in scenario.parts}:
            self.model(name)
        _ = self.environment, self.worker_client
        with working(f"importing vLLM {self.settings.release}"):
            self.worker_client.wait_ready()

    def check(self) -> None:
        """Check the pin, the series, and that an environment can be made, without making one."""
        from patchkit.environments import obtainable

        _ = self.tree
        obtainable(self.settings.release, self.settings.device, self.settings.python, self.settings.runner)

    def without_folders(self, text: str, tree: Tree) -> str:
        """A text with this machine's folders replaced by names."""
        folders = {
            str(tree.path): "TREE",
            str(self.environment.python.parent.parent): "ENV",
            str(Path(__file__).parent.parent): "patchkit",
            sys.prefix: "PREFIX",
            str(Path.home()): "~",
        }
        for folder, name in folders.items():
            if len(folder) > 4:
                text = text.replace(folder, name)
        return text

    def circumstances(self) -> Circumstances:
        """The circumstances of a run, known before it starts."""
        ready, tree = self.worker_client.wait_ready(), self.tree
        versions = Versions(python=ready.python, torch=ready.torch, vllm=ready.vllm, transformers=ready.transformers)
        return Circumstances(
            patchkit=__version__,
            command=this_command(),
            began=now(),
            release=self.settings.release,
            device=self.settings.device,
            runner=self.settings.runner,
            mode=self.settings.mode,
            engine=dict(self.settings.engine),
            replaced=list(ready.replaced),
            runtime=RuntimeUsed.of(tree, self.settings.without),
            versions=versions,
            hardware=hardware(ready.gpu),
        )

    def evidence(self, kind: Literal["gate", "knockout"]) -> Evidence:
        """The record of a run of scenarios, before anything is judged."""
        return Evidence(kind=kind, **structs.asdict(self.circumstances()))

    def close(self) -> None:
        """End the worker and whatever it still runs."""
        if self._worker_client is not None:
            self._worker_client.close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def series_of(tree: Tree) -> list[Patch]:
    """All patches of the series, applied or not."""
    return sorted([*tree.taken, *(patch for patch, _ in tree.left)], key=lambda patch: patch.number)
