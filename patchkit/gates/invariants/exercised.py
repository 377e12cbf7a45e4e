"""The scenario reached what it claims to test: a batch that never shrinks proves nothing about shrinking ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from patchkit.gates.events import Pass, Step
from patchkit.gates.invariants.base import Broken, Figures, Params, count_clause, invariant
from patchkit.gates.part_run import Run


class Exercised(Params, frozen=True):
    """The least number of each that must be seen, over the passes with the runtime."""

    decode_steps: int | None = None
    shrinks: int | None = None
    mixed_steps: int | None = None
    prefills_after_decode: int | None = None
    recomputed_tokens: int | None = None
    recomputed_alone: int | None = None
    batch_sizes: int | None = None
    decode_rows_at_once: int | None = None
    packed_tokens: int | None = None
    longest_answer: int | None = None
    stop_finishes: int | None = None
    length_finishes: int | None = None
    aborted: int | None = None

    def __post_init__(self) -> None:
        self.at_least(1, *self.__struct_fields__)
        if all(getattr(self, name) is None for name in self.__struct_fields__):
            raise ValueError("it asks for nothing")


CLAUSES = (
    count_clause(60, "shrinks", "{} shrinking steps"),
    count_clause(62, "mixed_steps", "{} mixed steps"),
    count_clause(64, "prefills_after_decode", "{} prefills after decodes"),
)


@invariant(params=Exercised, clauses=CLAUSES)
def exercised(run: Run, params: Exercised, figures: Figures) -> Iterator[Broken]:
    """Each count that the scenario requires is reached."""
    wanted = {name: least for name in params.__struct_fields__ if (least := getattr(params, name)) is not None}
    seen = seen_in(run)
    for name, least in wanted.items():
        figures[name] = seen[name]
        if seen[name] < least:
            yield Broken(f"not exercised: {name.replace('_', ' ')} {seen[name]}, this scenario needs at least {least}")


def seen_in(run: Run) -> dict[str, int]:
    """What the workload did, from the worker's own counts."""
    steps = run.patched
    outputs = [out for done in run.passes("patched") for call in done.calls for out in call.outputs]
    finishes = [out.finish for out in outputs]
    return {
        "decode_steps": len(run.decoding),
        "shrinks": sum(0 < step.shape.decode_rows < step.shape.decode_rows_before for step in steps),
        "mixed_steps": sum(step.shape.decode_rows > 0 and step.shape.prefill_tokens > 0 for step in steps),
        "prefills_after_decode": sum(prefill_after_decode(*both) for both in pairwise(steps)),
        "recomputed_tokens": sum(step.shape.recomputed_tokens for step in steps),
        "recomputed_alone": sum(step.shape.recomputed_alone for step in steps),
        "batch_sizes": len({step.shape.decode_rows for step in run.decoding}),
        "decode_rows_at_once": max((step.shape.decode_rows for step in steps), default=0),
        "packed_tokens": max((packed_tokens(step) for step in steps), default=0),
        "longest_answer": max((len(out.token_ids) for out in outputs), default=0),
        "stop_finishes": finishes.count("stop"),
        "length_finishes": finishes.count("length"),
        "aborted": sum(aborted_in(run, done) for done in run.passes("patched")),
    }


def aborted_in(run: Run, done: Pass) -> int:
    """Prompts that the part aborts and that did not finish before; vLLM may omit their outputs."""
    gone = 0
    for call, made in zip(run.part.calls, done.calls, strict=False):
        ended = {out.prompt for out in made.outputs if out.finish != "abort"}
        gone += sum(prompt not in ended for prompt in (call.abort.prompts if call.abort else []))
    return gone


def packed_tokens(step: Step) -> int:
    """Tokens that the step runs through the model."""
    return step.shape.decode_rows + step.shape.prefill_tokens + step.shape.recomputed_tokens


def prefill_after_decode(before: Step, step: Step) -> bool:
    """A step that only prefills, directly after one that decoded."""
    return before.shape.decode_rows > 0 and step.shape.decode_rows == 0 and step.shape.prefill_tokens > 0
