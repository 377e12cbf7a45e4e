"""The model still solves problems: Pass@k by the unbiased estimator, and a minimum number of problems solved."""

from __future__ import annotations

from collections.abc import Iterator

from patchkit.gates.events import Pass
from patchkit.gates.invariants.base import Broken, Figures, Params, SummaryClause, invariant
from patchkit.gates.part_run import Run


class Answers(Params, frozen=True):
    """``k``: which Pass@k to report; ``min_solved``: problems with at least one right sample."""

    k: tuple[int, ...] = (1, 8)
    min_solved: int = 1

    def __post_init__(self) -> None:
        self.not_empty("k")
        self.at_least(1, "k", "min_solved")


def rates(figures: Figures) -> list[str]:
    """``pass@1 0.41``, for every k."""
    numbers = {name: value for name, value in figures.items() if isinstance(value, int | float)}
    return [f"{name.rpartition('.')[2]} {value:.2f}" for name, value in numbers.items() if "pass@" in name]


@invariant(params=Answers, clauses=(SummaryClause(10, rates),))
def answers(run: Run, params: Answers, figures: Figures) -> Iterator[Broken]:
    """Enough problems have a correct sample; Pass@k goes into the figures."""
    from patchkit.evals import pass_at_k

    done = run.passes("patched")
    graded = problems(done[0]) if done else {}
    if not graded:
        yield Broken("no answer was graded")
        return
    for k in params.k:
        able = [grades for grades in graded.values() if len(grades) >= k]
        if len(able) < len(graded):
            yield Broken(f"pass@{k} needs {k} samples a problem, {len(graded) - len(able)} problems have fewer")
            return
        figures[f"pass@{k}"] = sum(pass_at_k(len(grades), sum(grades), k) for grades in able) / len(able)
    solved = sum(any(grades) for grades in graded.values())
    figures["solved"], figures["problems"] = solved, len(graded)
    if solved < params.min_solved:
        yield Broken(f"{solved} of {len(graded)} problems solved, at least {params.min_solved} must be")


def problems(done: Pass) -> dict[tuple[int, int], list[bool]]:
    """The graded samples of a pass by (call, prompt)."""
    graded: dict[tuple[int, int], list[bool]] = {}
    for number, call in enumerate(done.calls):
        for output in call.outputs:
            if output.correct is not None:
                graded.setdefault((number, output.prompt), []).append(output.correct)
    return graded
