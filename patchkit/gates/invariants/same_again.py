"""A part that is repeated gives the same again, also where streams are delayed: nothing in it is left to chance."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from patchkit.gates.events import Pass
from patchkit.gates.invariants.base import Broken, Figures, Params, count_clause, invariant
from patchkit.gates.invariants.same_tokens import outputs
from patchkit.gates.part_run import Run


@invariant(clauses=(count_clause(53, "repeated_tokens", "{} tokens the same again"),))
def same_again(run: Run, params: Params, figures: Figures) -> Iterator[Broken]:
    """Every pass has the tokens of the first of its kind, and with the runtime its counters, to the last bit.

    Whatever a runtime does at the wrong time is in the tokens, or in what it counts of its own numbers.
    """
    tokens = repeats = 0
    for kind in run.part.passes:
        for install in range(len(run.part.installs()) if kind == "patched" else 1):
            passes = [one for one in run.passes(kind) if one.install == install]
            if len(passes) < 2 or len(passes) != run.part.repeat or not passes[0].generated_tokens:
                yield Broken(f"{len(passes)} of {run.part.repeat} {kind} passes with tokens to compare")
                continue
            first, *later = passes
            tokens += sum(one.generated_tokens for one in later)
            repeats += len(later)
            if broken := [line for one in later if (line := difference(run, first, one))]:
                yield Broken(f"{broken[0]} ({len(broken)} of {len(later)} repeats differ)")
    figures["repeated_tokens"], figures["repeated_passes"] = tokens, repeats


def difference(run: Run, first: Pass, later: Pass) -> str:
    """``repeat 3 with delays: score is 0.21, and was 0.2``, of a plain pass ``plain vLLM, repeat 3 …``; or nothing."""
    found = other_token(first, later) or other_counter(run, first, later)
    whose = "plain vLLM, " if later.pass_ == "plain" else ""
    how = "without delays" if later.delays is None else "with delays"
    return f"{whose}repeat {later.repeat} {how}: {found}" if found else ""


def other_token(first: Pass, later: Pass) -> str:
    """The first token of the first request that is not the same; or nothing."""
    before, now = outputs(first), outputs(later)
    for key in sorted(before.keys() | now.keys()):
        both = ([] if key not in found else found[key].token_ids for found in (before, now))
        for position, (was, is_) in enumerate(zip_longest(*both)):
            if was != is_:
                return f"prompt {key[1]} sample {key[2]} of call {key[0]}: token {position} is {is_}, and was {was}"
    return ""


def other_counter(run: Run, first: Pass, later: Pass) -> str:
    """The first declared counter that is another number; or nothing."""
    if later.pass_ == "plain":
        return ""
    for name in run.counters:
        was, is_ = ((one.counters or {}).get(name) for one in (first, later))
        if was != is_ or was is None:
            return f"{name.replace('_', ' ')} is {is_}, and was {was}"
    return ""
