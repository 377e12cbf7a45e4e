"""From samples and grades to the counts that the statistics take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from patchkit.bench.at_work import merge_counters
from patchkit.bench.journal import Journal
from patchkit.bench.paired import paired_ratio
from patchkit.evals.record import Grade, Sample, Throughput, Trial
from patchkit.evals.spread import distinct_share

MOST_REASONS = 8


def count(journal: Journal) -> Trial:
    """What a complete draw amounts to."""
    drawn = [[journal.samples[problem, i] for i in range(journal.plan.n)] for problem in journal.problems]
    grades = [[journal.grades[problem, i] for i in range(journal.plan.n)] for problem in journal.problems]
    seconds, counters = over_sittings(journal)
    return Trial(
        seed=journal.plan.seed,
        correct=[sum(grade.correct for grade in one) for one in grades],
        answers=[distinct_share([grade.answer for grade in one]) for one in grades],
        approaches=[distinct_share([grade.approach for grade in one]) for one in grades],
        truncated=[sum(sample.finish == "length" for sample in one) for one in drawn],
        tokens=sum(sample.tokens for one in drawn for sample in one),
        seconds=round(seconds, 3),
        sittings=len({sample.sitting for one in drawn for sample in one}),
        counters=counters,
        why=reasons(grade for one in grades for grade in one),
    )


def over_sittings(journal: Journal) -> tuple[float, dict[str, float | None]]:
    """Seconds and counters, added up. Of a sitting that was killed only the samples that it finished are known."""
    finished = {one.sitting: one for one in journal.sittings}
    last: dict[int, float] = {}
    for sample in journal.samples.values():
        last[sample.sitting] = max(last.get(sample.sitting, 0.0), sample.seconds)
    seconds = sum(finished[number].seconds if number in finished else late for number, late in last.items())
    known = [finished[number].counters for number in sorted(last.keys() & finished.keys())]
    return seconds, merge_counters(known)


def reasons(grades: Iterable[Grade]) -> dict[str, int]:
    """Why samples failed, the most frequent first."""
    return dict(Counter(grade.why or "wrong" for grade in grades if not grade.correct).most_common(MOST_REASONS))


def throughput(baseline: Sequence[Trial], mode: Sequence[Trial]) -> Throughput | None:
    """Tokens/s against tokens/s, of trials that ran in one go in both modes."""
    pairs = [
        (before.tokens / before.seconds, after.tokens / after.seconds)
        for before, after in zip(baseline, mode, strict=True)
        if before.sittings == after.sittings == 1 and before.seconds and after.seconds
    ]
    if not pairs:
        return None
    ratio = paired_ratio([before for before, _ in pairs], [after for _, after in pairs])
    return Throughput(ratio=ratio.median, low=ratio.low, high=ratio.high, pairs=ratio.pairs)


def sample_lines(journal: Journal, trial: int) -> Iterable[dict[str, object]]:
    """Every sample with its grade, for whoever wants to look, in the order of problems and samples."""
    plan = journal.plan
    for problem in journal.problems:
        for number in range(plan.n):
            sample: Sample = journal.samples[problem, number]
            grade = journal.grades[problem, number]
            yield {
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
                "sitting": sample.sitting,
                "correct": grade.correct,
                "answer": grade.answer,
                "approach": grade.approach,
                "why": grade.why,
            }
