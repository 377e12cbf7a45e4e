"""Measuring a plan: every cell in every mode, trial by trial, then judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from msgspec import structs

from patchkit.bench.counting import count, sample_lines, throughput
from patchkit.bench.digests import grader_digest
from patchkit.bench.journal import DrawPlan, Journal
from patchkit.bench.plan import Plan, TaskSpec
from patchkit.bench.progress import show_progress
from patchkit.bench.sampling import DrawRequest, draw
from patchkit.errors import PatchkitError
from patchkit.evals.analysis import curves, judge
from patchkit.evals.grader_pool import Grading, find_grader
from patchkit.evals.records import BASELINE, Cell, RequiredFigure, Trial
from patchkit.evals.tasks import load_task
from patchkit.evals.tasks.base import Task
from patchkit.series.manifest import FigureMinimum


@dataclass(frozen=True)
class LoadedTask:
    """One task of a plan, loaded, and how long an answer may be."""

    task: Task
    max_tokens: int


@dataclass
class FinishedPlan:
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


class SampleSource(Protocol):
    """Where samples come from: the workers of a workspace, or a server."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the runtime is given in every mode, as far as it is known."""

    @property
    def figures(self) -> Sequence[FigureMinimum]:
        """What a verdict needs of the runtime's probe."""

    def draw_plan(self, model: str, loaded: LoadedTask, mode: str, trial: int) -> DrawPlan:
        """All that the samples of one draw depend on."""

    def request(self, model: str, loaded: LoadedTask, mode: str) -> DrawRequest:
        """How they are drawn."""


def drawn(plan: Plan, model: str, loaded: LoadedTask, mode: str, trial: int) -> dict[str, Any]:
    """The fields of a draw that follow from the plan alone, wherever its samples come from."""
    return {
        "model": model,
        "task": loaded.task.name,
        "task_digest": loaded.task.digest,
        "mode": mode,
        "n": plan.n,
        "trial": trial,
        "seed": plan.seed,
        "max_tokens": loaded.max_tokens,
    }


class Campaign:
    """Draws the cells of a plan from a source; ``home`` holds the journals."""

    def __init__(self, plan: Plan, source: SampleSource, home: Path, fresh: bool) -> None:
        self._plan, self._source, self._home, self._fresh = plan, source, home, fresh

    def measure(self, tasks: Iterable[LoadedTask]) -> FinishedPlan:
        """Every model on every task."""
        measured = FinishedPlan([], [])
        for loaded in tasks:
            with Grading(loaded.task.grader) as grading:
                for model in self._plan.models:
                    self._cell(model, loaded, grading, measured)
        return measured

    def _cell(self, model: str, loaded: LoadedTask, grading: Grading, measured: FinishedPlan) -> None:
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
        plan = self._source.draw_plan(model, loaded, mode, trial)
        name = f"{Path(model).name} · {loaded.task.name} · {mode} · trial {trial + 1} of {self._plan.trials}"
        problems, grader = [problem.id for problem in loaded.task.problems], grader_digest(loaded.task.grader)
        with Journal(self._home, plan, problems, grader, self._fresh) as journal:
            if not journal.complete:
                with show_progress(name, loaded.max_tokens) as progress:
                    draw(journal, loaded.task, self._source.request(model, loaded, mode), grading, progress)
            return count(journal), list(sample_lines(journal, trial))

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
            runtime={**self._source.settings},
            settings=self._plan.settings_by_mode,
            figures=[RequiredFigure(**structs.asdict(one)) for one in self._source.figures],
            sandbox=grading.describe(),
        )


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
