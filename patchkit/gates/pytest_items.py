"""Scenarios as pytest items."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from patchkit.errors import PatchkitError
from patchkit.gates.evidence import Verdict
from patchkit.gates.loading import scenario_at
from patchkit.gates.pytest_session import runtime_of, session_of, settings_of
from patchkit.gates.scenario import Scenario, running_order
from patchkit.mode import Mode
from patchkit.project import Project, find_project

# Matches a scenario, or what a runtime adds to one.
SCENARIO_PATTERN = re.compile(r"^guards:.*^parts:|^parts:.*^guards:", re.MULTILINE | re.DOTALL)
LAST_LINES = 12


class GateRedError(Exception):
    """A scenario is red, for this reason."""


def project_of(path: Path) -> Project | None:
    """The project of a file in ``scenarios/`` beside ``patches/``, or in ``patches/NAME/gates/``."""
    folder = path.parent
    if folder.name == "scenarios" and (folder.parent / "patches").is_dir():
        return Project(folder.parent, folder.parent / ".patchkit")
    if folder.name == "gates" and (folder.parent / "runtime.yaml").is_file() and folder.parents[1].name == "patches":
        return Project(folder.parents[2], folder.parents[2] / ".patchkit")
    return None


def is_scenario_file(path: Path, explicit: bool) -> bool:
    """A project's files are; elsewhere a file must be named explicitly, and look like a scenario."""
    if project_of(path):
        return True
    if not explicit and path.parent.name != "scenarios":
        return False
    try:
        return SCENARIO_PATTERN.search(path.read_text(encoding="utf-8")) is not None
    except (OSError, UnicodeDecodeError):
        return False


def in_order(items: list[pytest.Item]) -> list[pytest.Item]:
    """Scenarios sorted among themselves."""
    scenarios = sorted(
        (item for item in items if isinstance(item, ScenarioItem)), key=lambda i: running_order(i.scenario)
    )
    sorted_ones = iter(scenarios)
    return [next(sorted_ones) if isinstance(item, ScenarioItem) else item for item in items]


class ScenarioFile(pytest.File):
    """A scenario file with the runtime's overlays; one line for a file that cannot be read."""

    def collect(self) -> Iterator[pytest.Item]:
        try:
            scenario = self._scenario()
        except PatchkitError as error:
            raise self.CollectError(str(error)) from None
        if scenario is not None:
            yield ScenarioItem.from_parent(self, name=scenario.name, scenario=scenario)

    def _scenario(self) -> Scenario | None:
        """The scenario; None for an overlay, and for a scenario of another runtime than this session's."""
        project, runtime = project_of(self.path) or find_project(self.config.rootpath), runtime_of(self.config)
        if self.path.parent.name == "gates" and self.path.parent.parent.name != runtime and project_of(self.path):
            return None
        return scenario_at(self.path, project, runtime)


class ScenarioItem(pytest.Item):
    """A scenario: it passes if its verdict is green."""

    def __init__(self, *, scenario: Scenario, **rest: Any) -> None:
        super().__init__(**rest)
        mode: Mode = "graphs" if self.config.getoption("patchkit_graphs") else "eager"
        device = self.config.getoption("patchkit_device")
        self.scenario = scenario.fitting(mode, device) or scenario
        self.left_out = scenario.left_out_whole(mode, device)
        self.add_marker("gate")

    def runtest(self) -> None:
        """Run it, and fail with its reason."""
        try:
            release = settings_of(self.config).release
        except PatchkitError as error:
            raise GateRedError(str(error)) from None
        if not self.scenario.is_for(release):
            pytest.skip(f"{self.scenario.name} is for vLLM {self.scenario.releases}, not {release}")
        if self.left_out:
            pytest.skip(self.left_out)
        try:
            verdict = session_of(self.config).verdict_on(self, self.scenario)
        except PatchkitError as error:
            raise GateRedError(str(error)) from None
        self.user_properties += [(name, figure) for name, figure in verdict.figures.items()]
        for part in verdict.parts:
            if part.last_words:
                tail = "\n".join(part.last_words.splitlines()[-LAST_LINES:])
                self.add_report_section("call", f"last words of {part.name}", tail)
        if not verdict.passed:
            raise GateRedError(line_of(verdict))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """One line without a traceback."""
        if isinstance(excinfo.value, GateRedError):
            return OneLine(str(excinfo.value))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Its path and its name."""
        return self.path, None, self.name


class OneLine:
    """A reason, as pytest prints it in the failure section, its short summary (``reprcrash``) and its JUnit file."""

    def __init__(self, reason: str) -> None:
        self._reason = reason
        self.reprcrash = SimpleNamespace(message=reason)

    def toterminal(self, writer: Any) -> None:
        """Write it to pytest's terminal."""
        writer.line(self._reason, red=True)

    def __str__(self) -> str:
        return self._reason


def line_of(verdict: Verdict) -> str:
    """The reason, and the drift that it resembles."""
    return f"{verdict.reason} (resembles {verdict.resembles})" if verdict.resembles else verdict.reason
