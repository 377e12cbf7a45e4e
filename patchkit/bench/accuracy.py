"""Measuring a plan: every cell in every mode, trial by trial, then judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import structs

from patchkit.bench.counting import count, sample_lines, throughput
from patchkit.bench.digests import grader_digest, model_digest
from patchkit.bench.journal import DrawPlan, Journal
from patchkit.bench.liveness import RequiredCounters
from patchkit.bench.plan import Plan, TaskSpec
from patchkit.bench.progress import show_progress
from patchkit.bench.sampling import DrawRequest, draw
from patchkit.bench.shards import Shard
from patchkit.errors import PatchkitError
from patchkit.evals.grading import Grading, find_grader
from patchkit.evals.judge import curves, judge
from patchkit.evals.records import BASELINE, Cell, RequiredFigure, Trial
from patchkit.evals.tasks import load_task
from patchkit.evals.tasks.base import Task
from patchkit.gates.workspace import Workspace
from patchkit.series.manifest import Manifest


@dataclass(frozen=True)
class LoadedTask:
    """One task of a plan, loaded, and how long an answer may be."""

    task: Task
    max_tokens: int


@dataclass
class Measured:
    """A finished plan: its cells, and a line for every sample."""

    cells: list[Cell]
    samples: list[dict[str, object]]


def load_tasks(plan: Plan) -> list[LoadedTask]:
    """Every task of a plan.

    Raises:
        PatchkitError: one of them is wrong, so that nothing should be drawn.
    """
    loaded = [LoadedTask(load(one), one.max_tokens or 0) for one in plan.all_tasks]
    names = [one.task.name for one in loaded]
    for name in names:
        if names.count(name) > 1:
            raise PatchkitError(f"the task {name} is listed twice", "leave one of them out")
    for one in loaded:
        check_references(one.task)
    return [LoadedTask(one.task, one.max_tokens or one.task.max_tokens) for one in loaded]


def load(spec: TaskSpec) -> Task:
    """One task as the plan specifies it."""
    data = Path(spec.data) if spec.data else None
    return load_task(spec.task, first=spec.first, grader=spec.grader, data=data)


def check_references(task: Task) -> None:
    """Refuse a task that its grader cannot judge: later, that would look like wrong answers.

    Raises:
        PatchkitError: a reference that cannot be graded, or that an empty answer passes.
    """
    grade = find_grader(task.grader)
    for problem in task.problems:
        try:
            found = grade(problem, "")
        except Exception as error:  # anyone's grader, which may raise anything
            why = str(error) if isinstance(error, PatchkitError) else f"{type(error).__name__}: {error}"
            raise PatchkitError(
                f"{task.name}, problem {problem.id}: {task.grader} cannot grade it: {why}", "correct its reference"
            ) from None
        if found.correct:
            raise PatchkitError(
                f"{task.name}, problem {problem.id}: {task.grader} accepts an empty answer",
                "correct the grader, or the reference",
            )


class Campaign:
    """Draws the cells of a plan on a workspace."""

    def __init__(self, plan: Plan, workspace: Workspace, shards: Sequence[Shard], fresh: bool) -> None:
        self._plan, self._workspace, self._shards, self._fresh = plan, workspace, shards, fresh
        self._known = workspace.circumstances()
        self._home = workspace.settings.project.state / "accuracy"

    def measure(self, tasks: Iterable[LoadedTask]) -> Measured:
        """Every model on every task."""
        measured = Measured([], [])
        for loaded in tasks:
            with Grading(loaded.task.grader) as grading:
                for model in self._plan.models:
                    self._cell(model, loaded, grading, measured)
        return measured

    def _cell(self, model: str, loaded: LoadedTask, grading: Grading, measured: Measured) -> None:
        """One model on one task; the modes alternate in order, so that no mode always runs on the warmer machine."""
        modes: dict[str, list[Trial]] = {mode: [] for mode in self._plan.all_modes}
        for trial in range(self._plan.trials):
            for mode in self._plan.all_modes if trial % 2 == 0 else reversed(self._plan.all_modes):
                counted, lines = self._draw(model, loaded, mode, trial, grading)
                modes[mode].append(counted)
                measured.samples += lines
        measured.cells.append(judged(self._unmeasured(model, loaded, grading), modes))

    def _draw(
        self, model: str, loaded: LoadedTask, mode: str, trial: int, grading: Grading
    ) -> tuple[Trial, list[dict[str, object]]]:
        plan = self._draw_plan(model, loaded, mode, trial)
        name = f"{Path(model).name} · {loaded.task.name} · {mode} · trial {trial + 1} of {self._plan.trials}"
        problems, grader = [problem.id for problem in loaded.task.problems], grader_digest(loaded.task.grader)
        with Journal(self._home, plan, problems, grader, self._fresh) as journal:
            if not journal.complete:
                with show_progress(name, loaded.max_tokens) as progress:
                    draw(journal, loaded.task, self._request(model, loaded, mode), grading, progress)
            return count(journal), list(sample_lines(journal, trial))

    def _draw_plan(self, model: str, loaded: LoadedTask, mode: str, trial: int) -> DrawPlan:
        patched, tree = mode != BASELINE, self._workspace.tree
        return DrawPlan(
            release=self._plan.vllm,
            device=self._plan.device,
            hardware=self._known.hardware,
            versions=self._known.versions,
            model=model,
            model_digest=model_digest(Path(self._workspace.model(model))),
            task=loaded.task.name,
            task_digest=loaded.task.digest,
            mode=mode,
            n=self._plan.n,
            trial=trial,
            seed=self._plan.seed,
            max_tokens=loaded.max_tokens,
            sampling=self._plan.sampling,
            engine=self._plan.engine,
            settings={**tree.runtime.defaults, **self._plan.settings_of(mode)} if patched else {},
            tree=tree.hash if patched else "",
        )

    def _request(self, model: str, loaded: LoadedTask, mode: str) -> DrawRequest:
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

    def _short_name(self, model: str) -> str:
        """The name of a model's folder if it is unique in the plan, else the model as the plan names it."""
        names = [Path(one).name for one in self._plan.models]
        return Path(model).name if Path(model).is_dir() and names.count(Path(model).name) == 1 else model

    def _unmeasured(self, model: str, loaded: LoadedTask, grading: Grading) -> Cell:
        """A cell without its trials."""
        return Cell(
            model=self._short_name(model),
            task=loaded.task.name,
            about=loaded.task.about,
            n=self._plan.n,
            problems=[problem.id for problem in loaded.task.problems],
            modes={},
            sampling={**self._plan.sampling, "max_tokens": loaded.max_tokens},
            engine=self._plan.engine,
            runtime={**self._workspace.tree.runtime.defaults, **self._plan.settings},
            settings=self._plan.settings_by_mode,
            figures=[RequiredFigure(**structs.asdict(one)) for one in self._workspace.tree.runtime.figures],
            sandbox=grading.describe(),
        )


def required_counters(runtime: Manifest, settings: Mapping[str, Any]) -> RequiredCounters:
    """What the runtime's counters must be under these settings.

    Raises:
        PatchkitError: it declares no counter that would show that it is inactive.
    """
    given = {**runtime.defaults, **settings}
    idle = bool(runtime.off) and given == {**given, **(runtime.off or {})}
    found = RequiredCounters({name: one.must_be for name, one in runtime.counters.items()}, idle)
    if not found.show_use:
        raise PatchkitError(
            f"{runtime.name} has no counter that must be decode_rows or decode_steps, to show that it is in use",
            f"declare one under `counters` in {runtime.folder / 'runtime.yaml'}",
        )
    return found


def judged(cell: Cell, modes: dict[str, list[Trial]]) -> Cell:
    """Fill in the trials of a cell, and the curves, throughput and judgements that follow from them."""
    cell.modes = modes
    cell.curves = curves(cell)
    others = [mode for mode in modes if mode != BASELINE]
    cell.throughput = dict(ratios(modes, others))
    cell.judgements = [judge(cell, mode) for mode in others]
    return cell


def ratios(modes: dict[str, list[Trial]], others: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """The throughput of every mode that has one."""
    for mode in others:
        ratio = throughput(modes[BASELINE], modes[mode])
        if ratio is not None:
            yield mode, ratio
