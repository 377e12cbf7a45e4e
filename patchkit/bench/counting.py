"""From samples and grades to the counts that the statistics take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from patchkit.bench.journal import Journal, failed
from patchkit.bench.liveness import merge_counters
from patchkit.evals.paired_ratio import paired_ratio
from patchkit.evals.records import BASELINE, Grade, Sample, Throughput, Trial
from patchkit.evals.spread import distinct_share

MOST_REASONS = 8


def count(journal: Journal) -> Trial:
    """The counts of a complete draw."""
    drawn = [[journal.samples[problem, i] for i in range(journal.plan.n)] for problem in journal.problems]
    grades = [[journal.grades[problem, i] for i in range(journal.plan.n)] for problem in journal.problems]
    seconds, counters = over_sessions(journal)
    known = {name: None if value is None else float(value) for name, value in counters.items()}
    why = [grade.why or "wrong" for one in grades for grade in one if not grade.correct]
    last = journal.sessions[max(journal.sessions)]
    return Trial(
        seed=journal.plan.seed,
        correct=[sum(grade.correct for grade in one) for one in grades],
        answers=[distinct_share([grade.answer for grade in one]) for one in grades],
        approaches=[distinct_share([grade.approach for grade in one]) for one in grades],
        truncated=[sum(sample.finish == "length" for sample in one) for one in drawn],
        tokens=sum(sample.tokens for one in drawn for sample in one),
        seconds=round(seconds, 3),
        sessions=len({sample.session for one in drawn for sample in one}),
        counters=known,
        observed=observed(journal),
        observing=round(sum(session.observing for session in journal.sessions.values()), 3),
        why=dict(Counter(why).most_common(MOST_REASONS)),
        ungraded=sum(failed(grade) for one in grades for grade in one),
        unread=unread(grade for one in grades for grade in one),
        engine=last.engine,
        shards=last.shards,
    )


def unread(grades: Iterable[Grade]) -> int | None:
    """How many samples hold no readable answer, without failures of the grader; None if the grader does not say."""
    found = [grade.unread for grade in grades if not grade.correct and not failed(grade)]
    return None if None in found else sum(map(bool, found))


def over_sessions(journal: Journal) -> tuple[float, dict[str, Any]]:
    """Seconds and counters of all sessions. Of a killed session only finished samples are known."""
    last: dict[int, float] = {}
    for sample in journal.samples.values():
        last[sample.session] = max(last.get(sample.session, 0.0), sample.seconds)
    begun = {number: journal.sessions[number] for number in sorted(last)}
    ended = {number: session for number, session in begun.items() if session.seconds is not None}
    seconds = sum(ended[number].seconds or 0.0 if number in ended else late for number, late in last.items())
    return seconds, merge_counters(session.counters for session in ended.values())


def observed(journal: Journal) -> list[dict[str, Any] | None]:
    """What the runtime's probe saw in each process that drew what is kept; None for one that was killed."""
    if journal.plan.mode == BASELINE:
        return []
    drew = sorted({sample.session for sample in journal.samples.values()})
    sessions = [journal.sessions[number] for number in drew]
    return [figures for session in sessions for figures in session.observed or [None] * session.shards]


def throughput(baseline: Sequence[Trial], mode: Sequence[Trial]) -> Throughput | None:
    """Tokens/s against tokens/s, of trials that ran in one session with the same engine and shards in both modes."""
    pairs = [
        (before.tokens / before.seconds, after.tokens / after.seconds)
        for before, after in zip(baseline, mode, strict=True)
        if before.sessions == after.sessions == 1
        and before.seconds
        and after.seconds
        and (before.engine, before.shards) == (after.engine, after.shards)
    ]
    if not pairs:
        return None
    ratio = paired_ratio([before for before, _ in pairs], [after for _, after in pairs])
    return Throughput(ratio=ratio.median, low=ratio.low, high=ratio.high, pairs=ratio.pairs)


def sample_lines(journal: Journal, trial: int) -> Iterable[dict[str, object]]:
    """Every sample with its grade, in the order of problems and samples."""
    plan = journal.plan
    for problem in journal.problems:
        for number in range(plan.n):
            sample: Sample = journal.samples[problem, number]
            grade = journal.grades[problem, number]
            yield {
                "model": plan.model,
                "task": plan.task,
                "mode": plan.mode,
                "trial": trial,
                "problem": problem,
                "sample": number,
                "seed": sample.seed,
                "text": sample.text,
                "tokens": sample.tokens,
                "finish": sample.finish,
                "seconds": sample.seconds,
                "session": sample.session,
                "correct": grade.correct,
                "answer": grade.answer,
                "approach": grade.approach,
                "why": grade.why,
                "unread": grade.unread,
            }
