"""The one way from a scenario to a verdict: parts go to the worker of a workspace, and what comes back is judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from patchkit.errors import PatchkitError
from patchkit.gates.evidence import Verdict
from patchkit.gates.part_run import Run
from patchkit.gates.scenario import Part, Scenario
from patchkit.gates.verdict import judge, judge_part
from patchkit.gates.workspace import Workspace, series_of
from patchkit.series.entry_points import metadata_of

if TYPE_CHECKING:
    from patchkit.series import Tree

TICK = 0.5  # seconds; an endless wait would not notice a Ctrl-C that another thread received
Item = TypeVar("Item")
Found = TypeVar("Found")


@dataclass(frozen=True)
class Queued:
    """A scenario whose parts are queued or running."""

    scenario: Scenario
    runs: Sequence[Future[Run]]


class Runner:
    """Runs scenarios on one workspace; the verbs and the pytest items all use it."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def verdicts(self, scenarios: Iterable[Scenario]) -> Iterator[Verdict]:
        """Verdicts in the order of the scenarios; all of them are queued before the first is waited for."""
        for queued in [self.queue(scenario) for scenario in scenarios]:
            yield self.verdict(queued)

    def run(self, scenario: Scenario) -> Verdict:
        """All of one scenario, on the user's tree."""
        return self.verdict(self.queue(scenario))

    def queue(self, scenario: Scenario) -> Queued:
        """Queue all parts of a scenario on the user's tree."""
        tree = self.workspace.tree
        return Queued(scenario, [self._submit(scenario, part, tree, scenario.alone) for part in scenario.parts])

    def verdict(self, queued: Queued) -> Verdict:
        """Wait for a scenario and judge it."""
        return self.judge(queued.scenario, [run.result() for run in queued.runs], self.workspace.tree)

    def run_until_red(self, scenario: Scenario, tree: Tree) -> Verdict:
        """Part after part, up to the first that is red; speed is not measured, so others may run beside it."""
        runs: list[Run] = []
        for part in scenario.parts:
            runs.append(self.run_part(scenario, part, tree))
            if judge_part(runs[-1])[1]:
                break
        return self.judge(scenario, runs, tree)

    def run_part(self, scenario: Scenario, part: Part, tree: Tree) -> Run:
        """One part on any tree; others may run beside it."""
        return self._submit(scenario, part, tree, alone=False).result()

    def side_by_side(self, call: Callable[[Item], Found], items: Iterable[Item]) -> Iterator[tuple[Item, Found]]:
        """Every item with the call's result, as each finishes; as many at a time as the workspace has workers.

        They start in order. The first exception, or a consumer that stops, ends the worker and all other calls.
        """
        with ThreadPoolExecutor(self.workspace.workers) as pool:
            futures = {pool.submit(call, item): item for item in items}
            waiting = set(futures)
            try:
                while waiting:
                    done, waiting = wait(waiting, TICK, FIRST_COMPLETED)
                    for future in done:
                        yield futures[future], future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self.workspace.close()
                raise

    def judge(self, scenario: Scenario, runs: Sequence[Run], tree: Tree) -> Verdict:
        """The verdict, with this machine's folders replaced by names."""
        verdict = judge(scenario, runs, series_of(tree))
        self._see_runner(verdict, runs)
        verdict.reason = self.workspace.without_folders(verdict.reason, tree)
        for part in verdict.parts:
            part.broken = [self.workspace.without_folders(reason, tree) for reason in part.broken]
            part.last_words = self.workspace.without_folders(part.last_words, tree)
        return verdict

    def _see_runner(self, verdict: Verdict, runs: Sequence[Run]) -> None:
        """Which model runners ran; a part of the second in which it was not seen is not green."""
        for part, run in zip(verdict.parts, runs, strict=True):
            seen = run.result.runners if run.result else []
            self.workspace.runners_seen.update(seen)
            if part.passed and run.result and not seen and self.workspace.settings.runner != "v1":
                part.passed, part.broken = False, ["the worker did not say which model runner ran"]
                verdict.passed, verdict.reason = False, verdict.reason or f"{part.name}: {part.broken[0]}"

    def _submit(self, scenario: Scenario, part: Part, tree: Tree, alone: bool) -> Future[Run]:
        settings = self.workspace.settings
        part = part.on(settings.release, settings.runner)
        try:
            metadata = metadata_of(tree) if part.client else None
        except PatchkitError as error:  # as where the patch that makes the tree a package is left out
            cannot_run: Future[Run] = Future()
            cannot_run.set_result(Run(part, tree.runtime, unfit=error.what))
            return cannot_run
        return self.workspace.worker_client.submit(
            part,
            scenario=scenario.name,
            model=self.workspace.model(part.model),
            tree=tree.path,
            runtime=tree.runtime,
            device=self.workspace.settings.device,
            limit=scenario.timeout * self.workspace.slowness,
            alone=alone,
            metadata=metadata,
            engine=settings.engine_of(part),
        )
