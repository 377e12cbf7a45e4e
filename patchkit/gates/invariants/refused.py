"""The run ends in an error that says what is wrong, before a token is returned; replaces ``finished``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from patchkit.gates.events import Error
from patchkit.gates.invariants.base import Broken, Figures, Params, count_clause, invariant
from patchkit.gates.invariants.finished import error_line, finished
from patchkit.gates.part_run import Run
from patchkit.plural import counted


class Refused(Params, frozen=True):
    """``naming``: a regular expression that the message must match.

    ``by_step``: the step by which it must be known, counted from the fault if that was injected in mid-run.
    ``in_flight``: extra steps under asynchronous scheduling, for a fault that batches in flight do not meet.
    """

    naming: str
    by_step: int = 1
    in_flight: int = 0

    def __post_init__(self) -> None:
        self.at_least(0, "by_step", "in_flight")
        self.is_pattern("naming")


REFUSALS = (count_clause(70, "refusals", "{} drifts refused"),)


@invariant(params=Refused, ending=True, clauses=REFUSALS)
def refused(run: Run, params: Refused, figures: Figures) -> Iterator[Broken]:
    """An exception of one line that matches, in time; a run that finished was not refused."""
    error = run.error
    if error is not None:
        figures["refusals"], figures["said"] = 1, error.message
        for what in refusal_is_wrong(error, params):
            yield Broken(f"{what}: {error_line(error)}", error.step, error.shape)
    elif run.result is not None and run.result.passes:
        tokens = sum(done.generated_tokens for done in run.passes("patched"))
        with_ = f" with {', '.join(faults_of(run))}" if run.part.faults else ""
        yield Broken(f"not refused{with_}: {counted(tokens, 'token')} returned in {counted(len(run.patched), 'step')}")
    else:
        yield from finished(run, Params(), figures)


def faults_of(run: Run) -> Iterator[str]:
    """The faults of a run's part, by name."""
    for fault in run.part.faults:
        yield fault if isinstance(fault, str) else fault.fault


def refusal_is_wrong(error: Error, params: Refused) -> Iterator[str]:
    """What is wrong with a refusal."""
    if not re.search(params.naming, error.message):
        yield f"refused, but not naming {params.naming!r}"
    elif "\n" in error.message.strip():
        yield f"refused in {len(error.message.strip().splitlines())} lines, not in one"
    elif error.returned_tokens:
        yield f"refused after {counted(error.returned_tokens, 'token')} had been returned"
    elif error.step is None or error.returned_tokens is None:
        yield "refused before there was a step"
    elif error.step - (error.faulted_at or 0) > due(error, params):
        after = f" after the fault at step {error.faulted_at}" if error.faulted_at is not None else ""
        yield f"refused at step {error.step}, it could be known at step {due(error, params)}{after}"


def due(error: Error, params: Refused) -> int:
    """The step by which the refusal must come."""
    return params.by_step + (params.in_flight if error.async_scheduling else 0)
