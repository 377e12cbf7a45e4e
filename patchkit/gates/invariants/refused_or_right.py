"""vLLM differs from what the runtime supports, but still works: the runtime refuses in time, or is still correct.

Replaces ``finished``. The part's other invariants are judged if the run was not refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from patchkit.gates.invariants.base import Broken, Figures, invariant
from patchkit.gates.invariants.finished import error_line, finished
from patchkit.gates.invariants.refused import REFUSALS, Refused, refusal_is_wrong
from patchkit.gates.part_run import Run


class RefusedOrRight(Refused, frozen=True):
    """As of ``refused``; by default the line must name the release of vLLM, so that people know what changed."""

    naming: str = r"\bvLLM \d"


@invariant(params=RefusedOrRight, ending=True, clauses=REFUSALS)
def refused_or_right(run: Run, params: RefusedOrRight, figures: Figures) -> Iterator[Broken]:
    """An exception of one line that matches, in time; or else a run that came to its end."""
    if run.error is None:
        yield from finished(run, params, figures)
        return
    figures["refusals"], figures["said"] = 1, run.error.message
    for what in refusal_is_wrong(run.error, params):
        yield Broken(f"{what}: {error_line(run.error)}", run.error.step, run.error.shape)
