"""The records of an accuracy run: samples, grades, cells with their modes, and their judgements.

Samples and grades are what a run leaves behind; a :class:`Cell` is their count; a :class:`Judgement` is computed from
the cell alone, so that a report can be made again, with better statistics, without a model.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

BASELINE = "baseline"  # the mode without the runtime; other modes are named after the runtime or its settings

Outcome = Literal["saturated", "token and trajectory headroom", "trajectory headroom only", "harmful", "not resolved"]


class Grade(msgspec.Struct, frozen=True):
    """The grade of one sample.

    Attributes:
        correct: it counts as solved.
        answer: what the sample came down to, in a normal form; None if it gave none. Equal answers are one answer.
        approach: the way it took, in a normal form; None if it has none. Equal approaches are one approach.
        why: why it does not count, in a few words; empty if it does.
        unread: whether there was nothing in the sample that could be read as an answer; None if the grader does not
            distinguish that from a wrong answer.
    """

    correct: bool
    answer: str | None = None
    approach: str | None = None
    why: str = ""
    unread: bool | None = None


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One sample of one problem, as it left the engine.

    Attributes:
        problem: the problem's id.
        sample: 0 to n - 1.
        seed: what vLLM drew it with.
        text: without the prompt.
        tokens: how many were generated.
        finish: ``stop``, or ``length`` where max_tokens cut it off.
        seconds: from the start of ``generate()`` to its last token.
        session: which process drew it: 0, and one more for every time the draw was resumed.
    """

    problem: str
    sample: int
    seed: int
    text: str
    tokens: int
    finish: str | None = None
    seconds: float = 0.0
    session: int = 0


class Trial(msgspec.Struct, kw_only=True):
    """All problems times n samples of one mode, once. Lists are in the order of the cell's problems.

    Attributes:
        seed: seeds the run's samples, together with the trial's number.
        correct: right samples of each problem, 0 to n.
        answers: distinct answers of each problem, as a share of those of its samples that gave one; None if none did.
        approaches: the same for approaches.
        truncated: samples of each problem that max_tokens cut off.
        tokens: generated tokens of all samples.
        seconds: spent in ``generate()``, over all sessions.
        sessions: processes it took: 1, and one more for every time it was resumed.
        counters: the runtime's own, over the sessions that came to their end; empty for the baseline.
        observed: what the runtime's probe observed, for each process whose samples are kept; None where a process
            ended before it could say, or has no probe. Empty for the baseline.
        observing: seconds that this took, of all ``seconds``.
        why: how often a sample failed for which reason, the most frequent first.
        ungraded: samples whose grader failed. They count as wrong, and are not the model's fault.
        unread: samples in which nothing could be read as an answer, among the wrong ones; None if that is not known.
        engine: what ``vllm.LLM`` was given in the last session.
        shards: processes that drew side by side in it.
    """

    seed: int
    correct: list[int]
    answers: list[float | None] = msgspec.field(default_factory=list)
    approaches: list[float | None] = msgspec.field(default_factory=list)
    truncated: list[int] = msgspec.field(default_factory=list)
    tokens: int = 0
    seconds: float = 0.0
    sessions: int = 1
    counters: dict[str, float | None] = msgspec.field(default_factory=dict)
    observed: list[dict[str, Any] | None] = msgspec.field(default_factory=list)
    observing: float = 0.0
    why: dict[str, int] = msgspec.field(default_factory=dict)
    ungraded: int = 0
    unread: int | None = None
    engine: dict[str, Any] = msgspec.field(default_factory=dict)
    shards: int = 1


class RequiredFigure(msgspec.Struct, frozen=True):
    """A figure of a runtime's probe that a verdict depends on, as a manifest declares it.

    Attributes:
        figure: its name, as the probe calls it.
        above: its lower bound, in every process.
        means: what it is, in a few words.
        otherwise: the sentence to show where it is not above, or not known.
    """

    figure: str
    above: float
    means: str
    otherwise: str


class FigureSeen(msgspec.Struct, frozen=True, kw_only=True):
    """The values of a :class:`RequiredFigure` figure in one mode of a cell, over all processes of all trials.

    Attributes:
        lowest, highest: of those that are known; None if none is.
        processes: how many drew.
        known: in how many of them the figure is known.
        above: in how many it is above what it must be.
    """

    wanted: RequiredFigure
    processes: int
    known: int
    above: int
    lowest: float | None = None
    highest: float | None = None

    @property
    def met(self) -> bool:
        """Whether every process showed it. What is not known is not met."""
        return 0 < self.processes == self.above

    @property
    def unknown(self) -> bool:
        """Whether it might be met for all that is known, and not all is."""
        return self.known < self.processes and self.above == self.known


class Rate(msgspec.Struct, frozen=True):
    """pass@k with its 95% interval."""

    k: int
    value: float
    low: float
    high: float


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """pass@k in a mode less pass@k in the baseline, paired by problem.

    Attributes:
        low, high: 95% interval of the difference, by a cluster bootstrap over problems.
        p: two-sided, by flipping the signs of problems' differences.
        noise: the largest such difference between two baseline trials; None with a single trial.
        direction: 1 or -1 where the difference is resolved, 0 where it is not.
    """

    k: int
    before: float
    after: float
    difference: float
    low: float
    high: float
    p: float
    noise: float | None = None
    direction: int = 0


class Solved(msgspec.Struct, frozen=True, kw_only=True):
    """Problems solved by any of n samples, baseline against a mode, in one trial; exact McNemar on changes."""

    trial: int
    before: int
    after: int
    gained: list[str]
    lost: list[str]
    p: float


class Needed(msgspec.Struct, frozen=True, kw_only=True):
    """What this design can see of pass@k, at 80% power and 5% error.

    Attributes:
        resolvable: the smallest difference that it resolves.
        problems: how many problems would resolve the difference that was measured; None if it is none.
        samples: how many samples a problem would, with these problems; None where no number of them would.
    """

    k: int
    resolvable: float
    problems: int | None = None
    samples: int | None = None


class Judgement(msgspec.Struct, kw_only=True):
    """What one mode does to one cell.

    Attributes:
        mode: which one, against the baseline.
        outcome: which of the five.
        why: the reason for the outcome, with its figures, in one sentence.
        advice: ``use it``, ``skip it`` or ``consider it``, for this model and task.
        because: what the advice rests on, a sentence each.
        changes: for every k from 1 to n.
        solved: a comparison for each trial.
        needed: for k = 1 and k = n.
        seen: of each of the cell's figures.
    """

    mode: str
    outcome: Outcome
    why: str
    advice: Literal["use it", "skip it", "consider it"]
    because: list[str]
    changes: list[Change]
    solved: list[Solved]
    needed: list[Needed]
    seen: list[FigureSeen] = msgspec.field(default_factory=list)


class Throughput(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens/s of a mode over tokens/s of the baseline, paired by trial; the interval is all that few pairs allow."""

    ratio: float
    low: float
    high: float
    pairs: int


class Cell(msgspec.Struct, kw_only=True):
    """One model on one task in all modes, under the same settings.

    Attributes:
        model: as the user named it.
        task: its name.
        about: the task in one line: what is asked, and how answers are checked.
        problems: ids, in order.
        modes: trials of each mode, the baseline first.
        sampling, engine, runtime: what the user chose of vLLM's and the runtime's; a trial has the whole of its engine.
        settings: of the runtime, on top of ``runtime``, by mode; empty where its settings are the same in all modes.
        figures: what a verdict needs of the runtime's probe.
        sandbox: which limits model-written code ran under; empty where none ran.
        curves: pass@k of each mode, for every k.
        judgements: one for every mode but the baseline.
        throughput: by mode.
    """

    model: str
    task: str
    about: str = ""
    n: int
    problems: list[str]
    modes: dict[str, list[Trial]]
    sampling: dict[str, Any] = msgspec.field(default_factory=dict)
    engine: dict[str, Any] = msgspec.field(default_factory=dict)
    runtime: dict[str, Any] = msgspec.field(default_factory=dict)
    settings: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    figures: list[RequiredFigure] = msgspec.field(default_factory=list)
    sandbox: str = ""
    curves: dict[str, list[Rate]] = msgspec.field(default_factory=dict)
    judgements: list[Judgement] = msgspec.field(default_factory=list)
    throughput: dict[str, Throughput] = msgspec.field(default_factory=dict)

    def truncated(self, mode: str) -> float | None:
        """The share of a mode's samples that max_tokens cut off; None if that was not recorded."""
        trials = [trial.truncated for trial in self.modes.get(mode, []) if trial.truncated]
        return sum(map(sum, trials)) / (len(trials) * self.n * len(self.problems)) if trials else None
