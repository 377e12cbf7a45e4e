"""A server gives the tokens that `LLM()` gives with the same runtime and the same seeds."""

from __future__ import annotations

from collections.abc import Iterator

from patchkit.gates.events import Logprobs, Output
from patchkit.gates.invariants.base import Broken, Figures, Params, count_clause, invariant
from patchkit.gates.part_run import Run

LOGPROB_TOLERANCE = 1e-3  # the engines have the same numbers; a server may round them on the way


@invariant(clauses=(count_clause(51, "served_tokens", "{} served tokens equal LLM()'s"),))
def served_same(run: Run, params: Params, figures: Figures) -> Iterator[Broken]:
    """Call by call, prompt by prompt, sample by sample: tokens, text, why it ended, log-probabilities."""
    exchanges = {one.name: one for one in run.result.exchanges} if run.result else {}
    compared = 0
    for call in run.part.client:
        found = exchanges.get(call.name)
        if not call.whole or found is None:
            continue
        theirs = {(output.prompt, output.sample): output for output in found.expected or []}
        if len(theirs) != call.prompts.count * call.n:
            yield Broken(f"{call.name}: LLM() gave {len(theirs)} of {call.prompts.count * call.n} samples")
            continue
        for output in found.outputs:
            compared += len(output.token_ids)
            what = difference(output, theirs[output.prompt, output.sample])
            if what:
                yield Broken(f"{call.name}: sample {output.sample} of prompt {output.prompt}: {what}")
                break
    figures["served_tokens"] = compared
    if not compared:
        yield Broken("no token was compared")


def difference(ours: Output, theirs: Output) -> str:
    """The first thing that differs between a served sample and ``LLM()``'s, or nothing."""
    for position, (our, their) in enumerate(zip(ours.token_ids, theirs.token_ids, strict=False)):
        if our != their:
            return f"token {position} is {our}, LLM() gives {their}"
    if len(ours.token_ids) != len(theirs.token_ids):
        return f"{len(ours.token_ids)} tokens, LLM() gives {len(theirs.token_ids)}"
    if (ours.text, ours.finish) != (theirs.text, theirs.finish):
        return f"its text or end ({ours.finish}) is not LLM()'s ({theirs.finish})"
    if ours.logprobs is not None and not alike(ours.logprobs, theirs.logprobs):
        return "its log-probabilities are not LLM()'s"
    return ""


def alike(ours: Logprobs, theirs: Logprobs | None) -> bool:
    """The same tokens and nearly the same numbers, position by position."""
    if theirs is None or len(ours) != len(theirs):
        return False
    for one, other in zip(ours, theirs, strict=True):
        if len(one or []) != len(other or []):
            return False
        for (our, value), (their, known) in zip(one or [], other or [], strict=True):
            if our != their or value is None or known is None or abs(value - known) > LOGPROB_TOLERANCE:
                return False
    return True
