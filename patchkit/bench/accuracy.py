"""Measuring a plan: every cell in every mode, trial by trial, then judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import structs

from patchkit.bench.at_work import Owed
from patchkit.bench.counting import count, sample_lines, throughput
from patchkit.bench.digests import grader_digest, model_digest
from patchkit.bench.drawing import Share, draw
from patchkit.bench.journal import DrawPlan, Journal
from patchkit.bench.plan import Plan, TaskAsked
from patchkit.bench.progress import watching
from patchkit.bench.shards import Shard
from patchkit.errors import PatchkitError
from patchkit.evals.grading import Grading, find_grader
from patchkit.evals.judge import curves, judge
from patchkit.evals.record import BASELINE, Cell, Trial, Wanted
from patchkit.evals.tasks import load_task
from patchkit.evals.tasks.base import Task
from patchkit.gates.rig import Rig
from patchkit.series.manifest import Manifest


@dataclass(frozen=True)
class Asked:
    """One task of a plan, loaded, and how long an answer may be."""

    task: Task
    max_tokens: int


@dataclass
class Measured:
    """A finished plan: its cells, and a line for every sample."""

    cells: list[Cell]
    samples: list[dict[str, object]]


def load_tasks(plan: Plan) -> list[Asked]:
    """Every task of a plan; what is wrong with one of them is said before anything is drawn."""
    asked = [Asked(load(one), one.max_tokens or 0) for one in plan.all_tasks]
    names = [one.task.name for one in asked]
    for name in names:
        if names.count(name) > 1:
            raise PatchkitError(f"the task {name} is there twice", "leave one of them out")
    for one in asked:
        check_references(one.task)
    return [Asked(one.task, one.max_tokens or one.task.max_tokens) for one in asked]


def load(asked: TaskAsked) -> Task:
    """One task as it was asked for."""
    data = Path(asked.data) if asked.data else None
    return load_task(asked.task, first=asked.first, grader=asked.grader, data=data)


def check_references(task: Task) -> None:
    """Refuse a task that its grader cannot judge, while that is cheap: later it would only look like wrong answers."""
    grade = find_grader(task.grader)
    for problem in task.problems:
        try:
            found = grade(problem, "")
        except Exception as error:  # anyone's grader, which may raise anything
            why = str(error) if isinstance(error, PatchkitError) else f"{type(error).__name__}: {error}"
            raise PatchkitError(
                f"{task.name}, problem {problem.id}: {task.grader} cannot grade it: {why}", "mend its reference"
            ) from None
        if found.correct:
            raise PatchkitError(
                f"{task.name}, problem {problem.id}: {task.grader} takes no answer at all for right",
                "mend the grader, or the reference",
            )


class Campaign:
    """Draws the cells of a plan on a rig."""

    def __init__(self, plan: Plan, rig: Rig, shards: Sequence[Shard], fresh: bool) -> None:
        self._plan, self._rig, self._shards, self._fresh = plan, rig, shards, fresh
        self._known = rig.circumstances()
        self._home = rig.settings.project.state / "accuracy"

    def measure(self, tasks: Iterable[Asked]) -> Measured:
        """Every model on every task."""
        measured = Measured([], [])
        for asked in tasks:
            with Grading(asked.task.grader) as grading:
                for model in self._plan.models:
                    self._cell(model, asked, grading, measured)
        return measured

    def _cell(self, model: str, asked: Asked, grading: Grading, measured: Measured) -> None:
        """One model on one task; modes take turns at going first, so that neither always meets the warmer machine."""
        modes: dict[str, list[Trial]] = {mode: [] for mode in self._plan.all_modes}
        for trial in range(self._plan.trials):
            for mode in self._plan.all_modes if trial % 2 == 0 else reversed(self._plan.all_modes):
                counted, lines = self._draw(model, asked, mode, trial, grading)
                modes[mode].append(counted)
                measured.samples += lines
        measured.cells.append(judged(self._told(model, asked, grading), modes))

    def _draw(
        self, model: str, asked: Asked, mode: str, trial: int, grading: Grading
    ) -> tuple[Trial, list[dict[str, object]]]:
        plan = self._draw_plan(model, asked, mode, trial)
        name = f"{Path(model).name} · {asked.task.name} · {mode} · trial {trial + 1} of {self._plan.trials}"
        problems, grader = [problem.id for problem in asked.task.problems], grader_digest(asked.task.grader)
        with Journal(self._home, plan, problems, grader, self._fresh) as journal:
            if not journal.complete:
                with watching(name, asked.max_tokens) as watch:
                    draw(journal, asked.task, self._share(model, asked, mode), grading, watch)
            return count(journal), list(sample_lines(journal, trial))

    def _draw_plan(self, model: str, asked: Asked, mode: str, trial: int) -> DrawPlan:
        patched, tree = mode != BASELINE, self._rig.tree
        return DrawPlan(
            release=self._plan.vllm,
            device=self._plan.device,
            hardware=self._known.hardware,
            versions=self._known.versions,
            model=model,
            model_digest=model_digest(Path(self._rig.model(model))),
            task=asked.task.name,
            task_digest=asked.task.digest,
            mode=mode,
            n=self._plan.n,
            trial=trial,
            seed=self._plan.seed,
            max_tokens=asked.max_tokens,
            sampling=self._plan.sampling,
            engine=self._plan.engine,
            settings={**tree.runtime.defaults, **self._plan.settings_of(mode)} if patched else {},
            tree=tree.hash if patched else "",
        )

    def _share(self, model: str, asked: Asked, mode: str) -> Share:
        tree, patched = self._rig.tree, mode != BASELINE
        spec: dict[str, Any] = {
            "patched": patched,
            "n": self._plan.n,
            "max_tokens": asked.max_tokens,
            "sampling": self._plan.sampling,
            "engine": self._plan.engine,
            "runtime": self._plan.settings_of(mode),
            "neighbours": len(self._shards),
        }
        request = {
            "model": self._rig.model(model),
            "tree": str(tree.path) if patched else None,
            "probe": str(tree.runtime.probe) if patched and tree.runtime.probe else None,
            "start": tree.runtime.start,
            "defaults": tree.runtime.defaults,
            "device": self._plan.device,
            "draw": spec,
        }
        return Share(request, self._shards, owed(tree.runtime, self._plan.settings_of(mode)) if patched else Owed())

    def _called(self, model: str) -> str:
        """A model's name: a folder's own, unless another folder of the plan is called so too."""
        names = [Path(one).name for one in self._plan.models]
        return Path(model).name if Path(model).is_dir() and names.count(Path(model).name) == 1 else model

    def _told(self, model: str, asked: Asked, grading: Grading) -> Cell:
        """What is known of a cell beside its trials."""
        return Cell(
            model=self._called(model),
            task=asked.task.name,
            about=asked.task.about,
            n=self._plan.n,
            problems=[problem.id for problem in asked.task.problems],
            modes={},
            sampling={**self._plan.sampling, "max_tokens": asked.max_tokens},
            engine=self._plan.engine,
            runtime={**self._rig.tree.runtime.defaults, **self._plan.settings},
            settings=self._plan.settings_by_mode,
            figures=[Wanted(**structs.asdict(one)) for one in self._rig.tree.runtime.figures],
            sandbox=grading.describe(),
        )


def owed(runtime: Manifest, settings: Mapping[str, Any]) -> Owed:
    """What the runtime's counters must be under these settings.

    Raises:
        PatchkitError: it declares none that could show that it is dead, so that nobody would know.
    """
    given = {**runtime.defaults, **settings}
    idle = bool(runtime.off) and given == {**given, **(runtime.off or {})}
    found = Owed({name: one.must_be for name, one in runtime.counters.items()}, idle)
    if not found.tells:
        raise PatchkitError(
            f"{runtime.name} has no counter that must be decode_rows or decode_steps: it might be dead unseen",
            f"declare one under `counters` in {runtime.folder / 'runtime.yaml'}",
        )
    return found


def judged(cell: Cell, modes: dict[str, list[Trial]]) -> Cell:
    """A cell with its trials, and all that follows from them."""
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
