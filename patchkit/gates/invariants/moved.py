"""The intervention moves logits when it should, and none when beta is 0."""

from __future__ import annotations

from collections.abc import Iterator

from patchkit.gates.events import count
from patchkit.gates.invariants.base import Broken, Figures, Params, invariant
from patchkit.gates.run import Run


class Moved(Params, frozen=True):
    """``beta``: what the part runs with; by default what the runtime was told."""

    beta: float | None = None


@invariant(params=Moved)
def moved(run: Run, params: Moved, figures: Figures) -> Iterator[Broken]:
    """Tokens are moved, out of some candidates, if and only if beta is not 0."""
    beta = params.beta if params.beta is not None else run.settings.get("beta")
    steps = run.decoding
    if not steps:
        yield Broken("no decode step with the runtime was seen")
        return
    if beta is None:
        yield Broken("no beta to judge by: neither the part nor the runtime's defaults name one")
        return
    candidates, tokens = (sum(step.of(name) for step in steps) for name in ("candidate_tokens", "moved_tokens"))
    figures["candidate_tokens"], figures["moved_tokens"] = int(candidates), int(tokens)
    over = f"over {count(len(steps), 'decode step')} with beta {beta:g}"
    if beta == 0 and tokens:
        yield Broken(f"{count(tokens, 'token')} moved {over}, none may be")
    elif beta and not candidates:
        yield Broken(f"candidate tokens 0 {over}")
    elif beta and not tokens:
        yield Broken(f"moved tokens 0 of {candidates:g} candidates {over}")
