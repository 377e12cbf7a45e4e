"""vLLM itself refuses what the part asks for; replaces ``finished`` and whatever else judges the part."""

from __future__ import annotations

import re
from collections.abc import Iterator

from patchkit.gates.invariants.base import Broken, Figures, Params, count_clause, invariant
from patchkit.gates.invariants.finished import error_line, finished
from patchkit.gates.part_run import Run


class RefusedByVllm(Params, frozen=True):
    """``naming``: a regular expression that vLLM's message must match."""

    naming: str

    def __post_init__(self) -> None:
        self.is_pattern("naming")


@invariant(
    params=RefusedByVllm,
    passes=(),
    ending=True,
    clauses=(count_clause(90, "refusals_by_vllm", "{} refused by vLLM itself"),),
)
def refused_by_vllm(run: Run, params: RefusedByVllm, figures: Figures) -> Iterator[Broken]:
    """An error that matches, before the first step; a run that came to its end was not refused."""
    error = run.error
    if error is None:
        ended = list(finished(run, Params(), figures))
        yield from ended or [Broken(f"vLLM did not refuse it: no error matches {params.naming!r}")]
    elif error.step is not None or not re.search(params.naming, error.message):
        yield Broken(
            f"not vLLM's refusal, which matches {params.naming!r}: {error_line(error)}", error.step, error.shape
        )
    else:
        figures["refusals_by_vllm"], figures["vllm_said"] = 1, error.message
