"""``patchkit gate`` runs pytest in this process: the same items as ``pytest -k``, with our own progress."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext

import pytest

from patchkit.console import err, out
from patchkit.errors import PatchkitError
from patchkit.gates.evidence import Verdict
from patchkit.gates.plugin import SITTING
from patchkit.gates.rig import Rig
from patchkit.gates.scenario import Scenario
from patchkit.gates.sitting import Sitting
from patchkit.gates.summary import verdict_line


def run_items(rig: Rig, scenarios: Sequence[Scenario], quiet: bool = False) -> list[Verdict]:
    """Run these scenarios of the rig's project as pytest items and return their verdicts."""
    listener = Listener(rig, scenarios, quiet)
    folder = rig.settings.project.scenarios
    own = rig.settings.project.patches / rig.settings.runtime / "gates"
    folders = [str(folder), *([str(own)] if own.is_dir() else [])]
    quietly = ["-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:xdist", "--capture=no", "-o", "addopts="]
    users = os.environ.pop("PYTEST_ADDOPTS", None)  # meant for the user's own tests: -n 4 would be a usage error here
    try:
        with listener.progress:
            arguments = [*quietly, f"--rootdir={folder.parent}", "-p", "patchkit", *folders]
            code = pytest.main(arguments, plugins=[listener])
    finally:
        if users is not None:
            os.environ["PYTEST_ADDOPTS"] = users
    if code == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if listener.trouble:
        raise PatchkitError(listener.trouble)
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise PatchkitError(f"pytest could not run the gates in {folder}", f"see why with `pytest {folder}`")
    return listener.verdicts


class Listener:
    """A pytest plugin that brings the rig, keeps the wanted items, and tells of every verdict."""

    def __init__(self, rig: Rig, scenarios: Sequence[Scenario], quiet: bool) -> None:
        self.verdicts: list[Verdict] = []
        self.trouble = ""
        self._rig, self._quiet = rig, quiet
        self._names = [scenario.name for scenario in scenarios]
        self._width = max(map(len, self._names), default=0)
        self._status = err.status("") if err.is_terminal and not quiet else None
        self.progress = self._status or nullcontext()
        self._say_what_runs()

    def pytest_configure(self, config: pytest.Config) -> None:
        """Hand our rig to the plugin."""
        config.stash[SITTING] = Sitting(self._rig)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the scenarios that were chosen."""
        items[:] = [item for item in items if getattr(item, "name", "") in self._names and hasattr(item, "scenario")]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A scenario that cannot be read is bad input."""
        if report.failed:
            self.trouble = self.trouble or str(report.longrepr)

    def pytest_patchkit_verdict(self, verdict: Verdict) -> None:
        """One line as soon as it is known."""
        self.verdicts.append(verdict)
        if self._status:
            self._status.stop()  # or the line would go on behind the spinner
        if not self._quiet:
            out.print(verdict_line(verdict, self._width))
        if self._status:
            self._status.start()
        self._say_what_runs()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """An item that broke before it had a verdict: the worker could not be started, say."""
        if report.failed and not any(verdict.scenario in report.nodeid for verdict in self.verdicts):
            self.trouble = self.trouble or str(report.longrepr)

    def _say_what_runs(self) -> None:
        if self._status and len(self.verdicts) < len(self._names):
            self._status.update(f"{self._names[len(self.verdicts)]} ({len(self.verdicts)} of {len(self._names)} done)")
