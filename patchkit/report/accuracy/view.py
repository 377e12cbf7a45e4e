"""Evidence in the order in which it is rendered: a row for every mode of every cell, a line for every problem."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from operator import attrgetter
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import msgspec

from patchkit.bench.accuracy_evidence import AccuracyEvidence
from patchkit.evals.records import BASELINE, Cell, Change, FigureSeen, Judgement, Outcome, Rate, Throughput, Trial


class Comparison(NamedTuple):
    """One mode of one cell against the baseline; without a judgement, the baseline alone."""

    cell: Cell
    judgement: Judgement | None
    anchor: str

    @property
    def mode(self) -> str:
        return self.judgement.mode if self.judgement else BASELINE

    @property
    def outcome(self) -> Outcome:
        """The judged outcome; without a comparison, not resolved."""
        return self.judgement.outcome if self.judgement else "not resolved"

    @property
    def modes(self) -> list[str]:
        return list(dict.fromkeys((BASELINE, self.mode)))

    @property
    def throughput(self) -> Throughput | None:
        return self.cell.throughput.get(self.mode)

    @property
    def seen(self) -> list[FigureSeen]:
        return self.judgement.seen if self.judgement else []

    @property
    def unmet(self) -> list[FigureSeen]:
        return [one for one in self.seen if not one.met]

    def change(self, k: int) -> Change | None:
        changes = self.judgement.changes if self.judgement else []
        return next((change for change in changes if change.k == k), None)

    def rate(self, k: int, mode: str = BASELINE) -> Rate | None:
        return next((rate for rate in self.cell.curves.get(mode, []) if rate.k == k), None)


class ProblemChange(NamedTuple):
    """One problem: right samples in the baseline and in a mode over trials, and how often it was gained and lost."""

    problem: str
    before: int
    after: int
    gained: int
    lost: int

    @property
    def changed(self) -> bool:
        return self.before != self.after or bool(self.gained or self.lost)


def comparisons(evidence: AccuracyEvidence) -> list[Comparison]:
    found: list[Comparison] = []
    for cell in evidence.cells:
        judgements: list[Judgement | None] = [*cell.judgements] or [None]
        found += [Comparison(cell, one, f"cell-{len(found) + place}") for place, one in enumerate(judgements, 1)]
    return found


def ends(n: int) -> list[int]:
    """The rates that are always side by side: pass@1 and pass@n."""
    return [1, n] if n > 1 else [1]


def short_models(evidence: AccuracyEvidence) -> dict[str, str]:
    """The last part of every model's name or path, unless two models share it."""
    models = list(dict.fromkeys(cell.model for cell in evidence.cells))
    last = {model: PurePosixPath(model).name or model for model in models}
    return {model: name if list(last.values()).count(name) == 1 else model for model, name in last.items()}


def problems(row: Comparison) -> list[ProblemChange]:
    """Every problem, from the one that rose most to the one that fell most."""
    before, after = (_right(row.cell, mode) for mode in (BASELINE, row.mode))
    trials = row.judgement.solved if row.judgement else []
    found = [
        ProblemChange(
            problem,
            before[number],
            after[number],
            sum(problem in one.gained for one in trials),
            sum(problem in one.lost for one in trials),
        )
        for number, problem in enumerate(row.cell.problems)
    ]
    return sorted(found, key=lambda one: (one.before - one.after, one.lost - one.gained, -one.after))


def _right(cell: Cell, mode: str) -> list[int]:
    counts = [trial.correct for trial in cell.modes.get(mode, [])]
    return [sum(one) for one in zip(*counts, strict=True)] if counts else [0] * len(cell.problems)


def shared_prefix(ids: Sequence[str]) -> str:
    """What all ids begin with, up to a separator."""
    letters = takewhile(lambda column: len(set(column)) == 1, zip(*ids, strict=False)) if len(ids) > 1 else ()
    shared = "".join(column[0] for column in letters)
    return shared[: max((shared.rfind(sign) for sign in "-/_:. "), default=-1) + 1]


def samples_each(cell: Cell, mode: str) -> int:
    return cell.n * len(cell.modes.get(mode, []))


def share(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def spread(cell: Cell, mode: str, of: Callable[[Trial], list[float | None]]) -> float | None:
    """The mean share of distinct answers, or of approaches, over problems and trials."""
    return share([value for trial in cell.modes.get(mode, []) for value in of(trial)])


answers, approaches = attrgetter("answers"), attrgetter("approaches")  # of a trial: how far those of a problem differ


def ungraded(evidence: AccuracyEvidence) -> list[tuple[Cell, str, int]]:
    """Where graders failed: cell, mode, and how many samples."""
    counts = [
        (cell, mode, sum(trial.ungraded for trial in trials))
        for cell in evidence.cells
        for mode, trials in cell.modes.items()
    ]
    return [one for one in counts if one[2]]


def unread(cell: Cell, mode: str) -> int | None:
    """Samples of one mode in which nothing could be read as an answer, over all trials; None if that is not known."""
    counts = [trial.unread for trial in cell.modes.get(mode, [])]
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None


def failures(row: Comparison, most: int = 5) -> list[tuple[str, list[int]]]:
    """The most frequent reasons for failing, with how often in each mode."""
    counts: dict[str, list[int]] = {}
    for column, mode in enumerate(row.modes):
        for trial in row.cell.modes.get(mode, []):
            for why, often in trial.why.items():
                counts.setdefault(why, [0] * len(row.modes))[column] += often
    return sorted(counts.items(), key=lambda one: (-sum(one[1]), one[0]))[:most]


def counters(trials: Sequence[Trial]) -> list[tuple[str, list[float | None]]]:
    names = dict.fromkeys(name for trial in trials for name in trial.counters)
    return [(name, [trial.counters.get(name) for trial in trials]) for name in names]


def observed(trials: Sequence[Trial]) -> list[tuple[str, list[list[Any]]]]:
    """What a runtime's probe saw: each figure in each trial, for each of its processes; None where one did not say."""
    names = dict.fromkeys(name for trial in trials for figures in trial.observed for name in figures or {})
    return [
        (name, [[(figures or {}).get(name) for figures in trial.observed or [None]] for trial in trials])
        for name in names
    ]


sampling, engine, runtime = map(attrgetter, ("sampling", "engine", "runtime"))  # of a cell: the settings of each


def common(cells: Sequence[Cell], of: Callable[[Cell], dict[str, Any]]) -> dict[str, Any]:
    first, *others = [of(cell) for cell in cells] or [{}]
    return {name: value for name, value in first.items() if all(name in one and one[name] == value for one in others)}


def settings_by_mode(cells: Sequence[Cell]) -> dict[str, dict[str, Any]]:
    """What the runtime was given in each mode that has settings of its own, and that all cells share."""
    modes = dict.fromkeys(mode for cell in cells for mode in cell.settings)
    return {mode: common(cells, lambda cell, mode=mode: cell.settings.get(mode, {})) for mode in modes}  # type: ignore[misc]


def own(cells: Sequence[Cell], cell: Cell) -> dict[str, Any]:
    kinds = (sampling, engine, runtime)
    return {name: value for of in kinds for name, value in of(cell).items() if name not in common(cells, of)}


def printable(evidence: AccuracyEvidence) -> AccuracyEvidence:
    """The same evidence with no character that a terminal or a browser would act on: most of it comes from outside."""
    return msgspec.convert(_printable(msgspec.to_builtins(evidence)), AccuracyEvidence)


def clean(text: str) -> str:
    """A text with no character that a terminal or a browser would act on."""
    return "".join(_shown(text))


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {_printable(name): _printable(one) for name, one in value.items()}
    return [_printable(one) for one in value] if isinstance(value, list) else value


def _shown(text: str) -> Iterator[str]:
    for letter in text:
        kind = unicodedata.category(letter)
        yield (
            letter
            if kind[0] != "C" and kind not in ("Zl", "Zp")
            else " "
            if letter in "\t\n\r"
            else "\N{REPLACEMENT CHARACTER}"
        )
