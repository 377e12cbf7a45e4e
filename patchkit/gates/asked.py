"""What the command line asks of every verb that runs scenarios, and what all of them do with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from patchkit.console import err
from patchkit.files import check_place
from patchkit.gates.caught_by import check_caught_by
from patchkit.gates.evidence import Circumstances, Evidence, default_path, to_json, write_evidence
from patchkit.gates.loading import load_scenarios
from patchkit.gates.rig import Rig, Settings
from patchkit.gates.scenario import Scenario, select
from patchkit.gates.summary import headline
from patchkit.project import find_project


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options that these verbs share; see ``patchkit gate --help``."""

    release: str
    runtime: str
    device: str
    python: Path | None
    model: str | None
    only: tuple[str, ...]
    workers: int | None
    evidence: Path | None
    as_json: bool

    def settings(self, variables: tuple[tuple[str, str], ...] = ()) -> Settings:
        """How scenarios are to run; ``variables`` are added to the worker's environment."""
        return Settings(
            find_project(),
            self.runtime,
            self.release,
            self.device,
            self.python,
            self.model,
            workers=self.workers,
            variables=variables,
        )

    def choose(self, settings: Settings, kind: str) -> list[Scenario]:
        """The scenarios to run; an evidence file that could not be written is refused now, not after them."""
        scenarios = load_scenarios(settings.project, settings.runtime)
        chosen = select(scenarios, kind, self.only)
        for place in (self.evidence, settings.project.state):
            if place:
                check_place(place)
        check_caught_by(settings.project, settings.runtime, scenarios)
        return chosen

    def unasked(self, settings: Settings, chosen: Sequence[Scenario]) -> int:
        """How many gates of the runtime are left out by ``--only``."""
        return len(select(load_scenarios(settings.project, settings.runtime), "gate")) - len(chosen)

    def begin(self, rig: Rig, kind: Literal["gate", "knockout", "bench"]) -> Evidence:
        """Say what is judged on what, and begin its record."""
        record = rig.evidence(kind)
        err.print(headline(record))
        return record

    def leave(
        self, record: Circumstances, rig: Rig, name: str, tell: Callable[[str], None], keep: bool = False
    ) -> None:
        """Write the evidence where the user chose, or under ``name``; print it, or ``tell`` of it and where it is.

        Args:
            keep: have it under ``name`` too if the user chose another place, for whoever looks for it there.
        """
        record.seconds = round(time.monotonic() - rig.made, 1)
        usual = default_path(rig.settings.project.state, name, record.release, record.device)
        path = self.evidence or usual
        for place in {path, usual} if keep else {path}:
            write_evidence(place, record)
        if self.as_json:
            print(to_json(record), end="")
        else:
            tell(shortest(path))


def shortest(path: Path) -> str:
    """A path as short as it can be said from here."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
