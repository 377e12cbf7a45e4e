"""A server's runtime acted on every decode row: its counters against the tokens that the client got."""

from __future__ import annotations

from collections.abc import Iterator

from patchkit.gates.client_call import ClientCall
from patchkit.gates.events import Exchange
from patchkit.gates.invariants.base import Broken, Figures, Params, count_clause, invariant
from patchkit.gates.part_run import Run


@invariant(clauses=(count_clause(40, "served_rows", "{} served rows counted"),))
def served_counts(run: Run, params: Params, figures: Figures) -> Iterator[Broken]:
    """A sample of k tokens has k - 1 decode rows. Calls with settings of the runtime's own are not judged here."""
    rows, steps = run.declared("decode_rows"), run.declared("decode_steps")
    if not rows:
        yield Broken(run.undeclared("counter that must be decode_rows"))
        return
    exchanges = {one.name: one for one in run.result.exchanges} if run.result else {}
    counted = 0
    for call in run.part.client:
        found = exchanges.get(call.name)
        if found is None or call.extra:
            continue
        if not found.before or not found.after:
            yield Broken(f"{call.name}: the counters could not be read")
            continue
        changed = changes(found)
        counted += int(changed.get(rows[0], 0))
        least, most = expected(call, found)
        for name in rows:
            if not least <= changed.get(name, -1) <= most or changed[name] != changed[rows[0]]:
                wanted = f"{least}" if least == most else f"{least} to {most}"
                yield Broken(f"{call.name}: {name} is {changed.get(name)}, of {wanted} decode rows")
        for name in run.declared("zero"):
            if changed.get(name) != 0:
                yield Broken(f"{call.name}: {name} is {changed.get(name)}, not 0")
        for name in run.declared("positive"):
            if least and not changed.get(name, 0) > 0:
                yield Broken(f"{call.name}: {name} is {changed.get(name)}, not above 0")
        for name in steps:
            if changed.get(name) != changed.get(steps[0]) or (least and not changed.get(name)):
                yield Broken(f"{call.name}: {name} is {changed.get(name)}, {steps[0]} is {changed.get(steps[0])}")
    figures["served_rows"] = counted
    if not counted:
        yield Broken("no decode row was counted")


def changes(found: Exchange) -> dict[str, float]:
    """Every number's difference over a call, summed over the workers."""
    total: dict[str, float] = {}
    for before, after in zip(found.before, found.after, strict=False):
        for name, value in after.items():
            if isinstance(value, int | float) and isinstance(before.get(name), int | float):
                total[name] = total.get(name, 0) + value - before[name]
    return total


def expected(call: ClientCall, found: Exchange) -> tuple[int, int]:
    """The least and the most decode rows of a call, by the tokens of its samples."""
    if call.refused:
        return 0, 0
    rows = sum(len(output.token_ids) - 1 for output in found.outputs if output.token_ids)
    if call.leaves_after:  # the engine goes on until it learns that the client is gone
        return rows, call.prompts.count * call.n * (call.max_tokens - 1)
    stopped = [output for output in found.outputs if output.finish == "stop" and call.sampling.get("stop")]
    past = sum(call.max_tokens - len(output.token_ids) for output in stopped)  # until it learns that a text has ended
    return rows, rows + past
