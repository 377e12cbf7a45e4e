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
        chosen = self._in_mode(select(scenarios, self.only, self.settings.release))
        for place in (self.evidence, project.state):
            if place:
                check_place(place)
        check_caught_by(project, runtime, scenarios)
        return chosen

    def _in_mode(self, scenarios: Sequence[Scenario]) -> list[Scenario]:
        """The scenarios with what of them makes sense in the mode that was asked for."""
        chosen = [(scenario, scenario.in_mode(self.settings.mode)) for scenario in scenarios]
        for scenario, left in chosen:
            if left is None and self.only:
                why = "; ".join(dict.fromkeys(scenario.eager_only().values()))
                raise PatchkitError(f"{scenario.name} is eager only: {why}", "run it without --graphs")
        return [left for _, left in chosen if left is not None]

    def not_selected(self, chosen: Sequence[Scenario]) -> int:
        """How many gates of the runtime are left out by ``--only``."""
        scenarios = load_scenarios(self.settings.project, self.settings.runtime)
        gates = select(scenarios, release=self.settings.release)
        return sum(gate.in_mode(self.settings.mode) is not None for gate in gates) - len(chosen)

    def begin(self, workspace: Workspace, kind: Literal["gate", "knockout"]) -> Evidence:
        """Say what is judged on what, and begin its record."""
        record = workspace.evidence(kind)
        if self.settings.mode != "eager":
            record.eager_only = self._eager_only()
        err.print(headline(record), markup=False)
        return record

    def _eager_only(self) -> dict[str, str]:
        scenarios = load_scenarios(self.settings.project, self.settings.runtime)
        gates = select(scenarios, self.only, self.settings.release)
        return {name: why for gate in gates for name, why in gate.eager_only().items()}

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
