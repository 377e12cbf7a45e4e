"""The options and steps shared by all verbs that run scenarios."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from patchkit.console import ProgressLine, err
from patchkit.errors import PatchkitError
from patchkit.files import check_place
from patchkit.gates.caught_by import check_caught_by
from patchkit.gates.evidence import Circumstances, Evidence, Verdict, default_path
from patchkit.gates.loading import load_scenarios
from patchkit.gates.runner import Runner
from patchkit.gates.scenario import Scenario, select
from patchkit.gates.settings import Settings
from patchkit.gates.workspace import Workspace
from patchkit.project import find_project
from patchkit.report.phrases import headline
from patchkit.report.progress_lines import verdict_line
from patchkit.verbs.latest import release_for
from patchkit.verbs.written import publish


@dataclass(frozen=True, kw_only=True)
class Request:
    """The options that these verbs share; see ``patchkit gate --help``."""

    settings: Settings
    only: tuple[str, ...] = ()
    evidence: Path | None = None
    as_json: bool = False

    @classmethod
    def of(
        cls, only: tuple[str, ...] = (), evidence: Path | None = None, as_json: bool = False, **settings: Any
    ) -> Request:
        """A request in the words of the command line."""
        project = find_project()
        release, runtime = settings.pop("release"), settings.pop("runtime")
        release = release_for(release, runtime, settings.get("runner"), settings.get("device", "cpu"))
        return cls(
            settings=Settings(project, runtime, release, **settings), only=only, evidence=evidence, as_json=as_json
        )

    def choose(self) -> list[Scenario]:
        """The scenarios to run; an evidence file that could not be written is refused now, not after them."""
        project, runtime = self.settings.project, self.settings.runtime
        scenarios = load_scenarios(project, runtime)
        chosen = self._fitting(select(scenarios, self.only, self.settings.release))
        for place in (self.evidence, project.state):
            if place:
                check_place(place)
        check_caught_by(project, runtime, scenarios)
        return chosen

    def _fitting(self, scenarios: Sequence[Scenario]) -> list[Scenario]:
        """The scenarios with what of them makes sense in the mode and on the device that were asked for."""
        mode, device = self.settings.mode, self.settings.device
        for scenario in scenarios if self.only else []:
            if why := scenario.left_out_whole(mode, device):
                on_cuda = scenario.fitting(mode, "cuda") is not None
                raise PatchkitError(why, "run it with --device cuda" if on_cuda else "run it without --graphs")
        fitting = [scenario.fitting(mode, device) for scenario in scenarios]
        return [left for left in fitting if left is not None]

    def not_selected(self, chosen: Sequence[Scenario]) -> int:
        """How many gates of the runtime are left out by ``--only``."""
        scenarios = load_scenarios(self.settings.project, self.settings.runtime)
        gates = select(scenarios, release=self.settings.release)
        able = [gate for gate in gates if not gate.left_out_whole(self.settings.mode, self.settings.device)]
        return len(able) - len(chosen)

    def begin(self, workspace: Workspace, kind: Literal["gate", "knockout"]) -> Evidence:
        """Say what is judged on what, and begin its record."""
        record = workspace.evidence(kind)
        gates = select(load_scenarios(self.settings.project, self.settings.runtime), self.only, self.settings.release)
        if self.settings.mode != "eager":
            record.eager_only = {name: why for gate in gates for name, why in gate.eager_only().items()}
        if self.settings.device != "cuda":
            record.cuda_only = {name: why for gate in gates for name, why in gate.cuda_only().items()}
        err.print(headline(record), markup=False)
        return record

    def verdicts(self, workspace: Workspace, scenarios: Sequence[Scenario]) -> Iterator[Verdict]:
        """Run scenarios; each verdict is a line as soon as it is known."""
        width, names = max(len(scenario.name) for scenario in scenarios), [scenario.name for scenario in scenarios]
        done = 0
        with ProgressLine(lambda: f"{names[done]} ({done} of {len(names)} done)", self.as_json) as progress:
            for verdict in Runner(workspace).verdicts(scenarios):
                done = min(done + 1, len(names) - 1)
                if not self.as_json:
                    progress.print(verdict_line(verdict, width))
                yield verdict

    def save(
        self, record: Circumstances, workspace: Workspace, name: str, report: Callable[[str], None], keep: bool = False
    ) -> None:
        """Write the evidence where the user chose, or under ``name``; print it, or ``report`` the file that holds it.

        Args:
            keep: have it under ``name`` too if the user chose another place, for whoever looks for it there.
        """
        record.seconds = round(time.monotonic() - workspace.made, 1)
        record.runners_seen = sorted(workspace.runners_seen)
        settings = workspace.settings
        usual = default_path(
            settings.project.state, name, record.release, record.device, settings.runner, settings.mode
        )
        path = self.evidence or usual
        publish(record, dict.fromkeys([path, usual] if keep else [path]), self.as_json, report)
