"""The runtime at beta 0 changes no token: its pass equals plain vLLM's, request by request."""

from __future__ import annotations

from collections.abc import Iterator

from patchkit.gates.events import Output, Pass
from patchkit.gates.invariants.base import Broken, Figures, Params, invariant
from patchkit.gates.run import Run

Key = tuple[int, int, int]


@invariant(passes=("plain", "patched"))
def same_tokens(run: Run, params: Params, figures: Figures) -> Iterator[Broken]:
    """Every pair of passes has the same requests, and every request the same tokens."""
    pairs = list(run.pairs())
    compared = {key: output for plain, _ in pairs for key, output in outputs(plain).items() if output.token_ids}
    if len(pairs) < run.part.repeat or not compared:
        yield Broken(f"{len(pairs)} of {run.part.repeat} pairs of passes, {len(compared)} requests to compare")
        return
    figures["compared_requests"] = len(compared)
    figures["compared_tokens"] = sum(len(output.token_ids) for output in compared.values())
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
    return ""
