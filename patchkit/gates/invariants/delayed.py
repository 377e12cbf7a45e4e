"""Streams were late, the runtime's own among them: what never was shows nothing of the order between streams."""

from __future__ import annotations

from collections.abc import Iterator

from patchkit.gates.events import Pass
from patchkit.gates.invariants.base import Broken, Figures, Params, count_clause, invariant
from patchkit.gates.part_run import Run


class Delayed(Params, frozen=True):
    """``least``: delays of the main stream in every pass that has any, and of the runtime's with the runtime."""

    least: int = 1

    def __post_init__(self) -> None:
        self.at_least(1, "least")


@invariant(params=Delayed, clauses=(count_clause(54, "delays", "{} random delays of streams"),))
def delayed(run: Run, params: Delayed, figures: Figures) -> Iterator[Broken]:
    """In each pass with delays the main stream was late, and with the runtime one that the runtime itself enters."""
    passes = [one for kind in run.part.passes for one in run.passes(kind) if one.delays is not None]
    streams = [stream for one in passes for stream in one.delays or []]
    figures["delays"] = sum(stream.delays for stream in streams)
    figures["delayed_milliseconds"] = round(sum(stream.milliseconds for stream in streams))
    figures["streams_delayed"] = max((len(late_streams(one)) for one in passes), default=0)
    for kind in run.part.passes:
        had = sum(one.pass_ == kind for one in passes)
        due = run.part.delayed_repeats * (len(run.part.installs()) if kind == "patched" else 1)
        if had != due:
            yield Broken(f"{had} of {due} {kind} passes had delays")
    for one in passes:
        late = late_streams(one)
        if late.get(0, 0) < params.least:
            yield Broken(f"repeat {one.repeat}: {late.get(0, 0)} delays of the main stream, {params.least} needed")
        if one.pass_ == "patched":
            own = sum(stream.delays for stream in one.delays or [] if stream.of_runtime)
            if own < params.least:
                yield Broken(f"repeat {one.repeat}: {own} delays of the runtime's own streams, {params.least} needed")


def late_streams(one: Pass) -> dict[int, int]:
    """Delays by stream, of those that had any."""
    return {stream.stream: stream.delays for stream in one.delays or [] if stream.delays}
