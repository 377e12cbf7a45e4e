"""A runtime that is off changes nothing: its outputs equal plain vLLM's, request by request."""

from __future__ import annotations

from collections.abc import Iterator

from patchkit.gates.events import Logprobs, Output, Pass
from patchkit.gates.invariants.base import Broken, Figures, Params, count_clause, invariant
from patchkit.gates.part_run import Run

Key = tuple[int, int, int]


@invariant(passes=("plain", "patched"), clauses=(count_clause(52, "compared_tokens", "{} tokens equal plain vLLM's"),))
def same_tokens(run: Run, params: Params, figures: Figures) -> Iterator[Broken]:
    """Every pair of passes has the same requests, and every request the same tokens and log-probabilities."""
    pairs = list(run.pairs())
    compared = {key: output for plain, _ in pairs for key, output in outputs(plain).items() if output.token_ids}
    if len(pairs) < run.pairs_due or not compared:
        yield Broken(f"{len(pairs)} of {run.pairs_due} pairs of passes, {len(compared)} requests to compare")
        return
    figures["compared_requests"] = len(compared)
    figures["compared_tokens"] = sum(len(output.token_ids) for output in compared.values())
    logprobs = sum(len(one) for output in compared.values() for one in (output.logprobs, output.prompt_logprobs) if one)
    if logprobs:
        figures["compared_logprobs"] = logprobs
    for plain, patched in pairs:
        first = first_difference(outputs(plain), outputs(patched))
        if first:
            yield Broken(first)
            return


def outputs(done: Pass) -> dict[Key, Output]:
    """The outputs of a pass by (call, prompt, sample)."""
    numbered = ((call, output) for call, made in enumerate(done.calls) for output in made.outputs)
    return {(call, output.prompt, output.sample): output for call, output in numbered}


def first_difference(plain: dict[Key, Output], patched: dict[Key, Output]) -> str:
    """The first request that differs, and its first token that does; or nothing."""
    for key in sorted(plain.keys() | patched.keys()):
        who = f"prompt {key[1]} sample {key[2]} of call {key[0]}"
        if key not in plain or key not in patched:
            return f"{who} is missing from the {'plain' if key not in plain else 'patched'} pass"
        ours, theirs = patched[key].token_ids, plain[key].token_ids
        for position, (our, their) in enumerate(zip(ours, theirs, strict=False)):
            if our != their:
                return f"{who}: token {position} is {our}, plain vLLM gives {their}"
        if len(ours) != len(theirs):
            return f"{who}: {len(ours)} tokens, plain vLLM gives {len(theirs)}"
        for name in ("logprobs", "prompt_logprobs"):
            at = differ(getattr(patched[key], name), getattr(plain[key], name))
            if at is not None:
                return f"{who}: {name} at position {at} are not plain vLLM's"
        if (patched[key].text, patched[key].finish) != (plain[key].text, plain[key].finish):
            return f"{who}: its text or end is not plain vLLM's"
    return ""


def differ(ours: Logprobs | None, theirs: Logprobs | None) -> int | None:
    """The first position at which log-probabilities are not the same numbers, or None."""
    if ours is None or theirs is None:
        return None if ours is theirs else 0
    if len(ours) != len(theirs):
        return min(len(ours), len(theirs))
    return next((at for at, both in enumerate(zip(ours, theirs, strict=True)) if both[0] != both[1]), None)
