"""A client gets what it asks for, or reads why not, and the server lives on."""

from __future__ import annotations

import re
from collections.abc import Iterator

from patchkit.gates.client_call import ClientCall
from patchkit.gates.events import Exchange
from patchkit.gates.invariants.base import Broken, Figures, Params, count_clause, invariant
from patchkit.gates.part_run import Run

REFUSED = 400  # HTTP


@invariant(
    clauses=(
        count_clause(60, "served_samples", "{} samples served"),
        count_clause(75, "refusals", "{} refused over HTTP"),
    )
)
def exchanged(run: Run, params: Params, figures: Figures) -> Iterator[Broken]:
    """Every call is answered in full, left by the client, or refused in one line; the server is healthy after it."""
    exchanges = {one.name: one for one in run.result.exchanges} if run.result else {}
    figures["served_samples"] = sum(len(one.outputs) for one in exchanges.values())
    figures["refusals"] = sum(bool(call.refused) for call in run.part.client)
    for call in run.part.client:
        if call.name not in exchanges:
            yield Broken(f"{call.name}: it was not asked")
            continue
        what = shortcoming(call, exchanges[call.name])
        if what:
            yield Broken(f"{call.name}: {what}")


def shortcoming(call: ClientCall, found: Exchange) -> str:
    """What is wrong with an answer, if anything is."""
    if found.health != 200:
        return f"the server's health is {found.health} afterwards: {found.error or 'it said nothing'}"
    if call.refused:
        if found.status != REFUSED or not re.search(call.refused, found.error) or "\n" in found.error:
            return f"it is not refused with {call.refused!r} but answered {found.status or 200}: {found.error[:200]}"
        return ""
    if found.error:
        return f"{found.status}: {found.error[:300]}"
    samples = {(output.prompt, output.sample) for output in found.outputs}
    if samples != {(prompt, sample) for prompt in range(call.prompts.count) for sample in range(call.n)}:
        return f"{len(samples)} of {call.prompts.count * call.n} samples came back"
    lacking = [output for output in found.outputs if not output.token_ids or not output.finish]
    if lacking and not call.leaves_after:
        return f"sample {lacking[0].sample} of prompt {lacking[0].prompt} has no tokens or no end"
    return ""
