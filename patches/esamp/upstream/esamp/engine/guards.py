"""Guards: is vLLM what this runtime takes it for? If it is not, one line says so before a token is returned.

Every hook reports here, in every step, that it was reached, and what it got; ``checks.py`` knows what that must look
like. What only the device knows is asked for at the end of the step, when vLLM has waited for the device anyway.
"""

from typing import Any, Optional

import torch

from esamp.engine import checks
from esamp.engine.checks import EXECUTE, PREPARE, SAMPLE, STEP, fail

CALLED = "execute_model, with or without tokens"
ELSEWHERE = (
    "was not called in a step with requests: another model runner runs, or one in another process (pass the class "
    "UniProcExecutor as distributed_executor_backend)"
)


class Guards:
    """What was reached in this step; ``runtime`` is the one that is guarded."""

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime
        self._runner: Any = None
        self._reached: set[str] = set()
        self._idle = 0  # steps since the model runner was last called, though there were requests
        self._due = False  # this step has tokens to sample
        self._decoded = False  # a row that decodes was seen
        self._pair: Optional[bool] = None  # vLLM draws a pair, or token ids alone; None until it was seen
        self._draw: Any = None
        self._sums: list[tuple[str, torch.Tensor]] = []  # tapped norms, and whether their sums were wrong

    # Is every hooked method the one that runs?

    def begin_engine_step(self) -> None:
        self._reached, self._due, self._sums = {STEP}, False, []

    def begin_execution(self, runner: Any, scheduled: Any) -> None:
        """``execute_model`` is called; it runs the model if tokens are scheduled."""
        if STEP not in self._reached:
            fail(STEP, "is not what steps the engine")
        self._reached.add(CALLED)
        if scheduled:
            self._reached.add(EXECUTE)
            self._runner = runner

    def end_engine_step(self, outputs: Any, busy: bool) -> None:
        """``LLMEngine.step`` is about to return these outputs: was everything reached on the way?

        ``busy``: there were requests when it began.
        """
        reached, self._reached = self._reached, set()
        if EXECUTE in reached and PREPARE not in reached:
            fail(PREPARE, f"was not called in a step that ran the model: {instead(self._runner, PREPARE)}")
        if self._due and SAMPLE not in reached:
            sampler = getattr(self._runner, "sampler", None)
            fail(SAMPLE, f"was not called in a step with tokens to sample: {instead(sampler, SAMPLE)}")
        self._idle = 0 if CALLED in reached or not busy else self._idle + 1
        if self._idle > self._runtime.batches_in_flight:
            fail(EXECUTE, ELSEWHERE)
        for norm, wrong in self._sums:
            if wrong.item():
                fail(norm, "returned something else than (normalised, x + residual)")
        if not self._decoded and longest(outputs) > 1:
            fail("InputBatch", f"never showed a row that decodes: {', '.join(checks.COLUMNS)} mean other things now")

    # Do the values look as they must?

    def check_batch(self, runner: Any, scheduled: Any, logits_indices: Any) -> None:
        """``_prepare_inputs`` has returned; what rows are located by must be of the right kind."""
        if EXECUTE not in self._reached:
            fail(EXECUTE, f"was not called around _prepare_inputs: {instead(runner, EXECUTE)}")
        self._reached.add(PREPARE)
        if not isinstance(logits_indices, torch.Tensor):
            fail(PREPARE, f"returned {checks.described(logits_indices)} where logits indices are looked for")
        checks.check_batch(runner.input_batch, scheduled)

    def check_rows(self, scheduled: dict[str, int], logits_indices: torch.Tensor, located: Any) -> None:
        """The decode rows are located; every request must have an owner, and its logits index must be its last row."""
        batch, runtime = self._runner.input_batch, self._runtime
        self._due = bool(located.owners) or checks.completes_a_prompt(batch, scheduled)
        checks.check_owners(batch, runtime.requests, runtime.registered_by)
        tokens = checks.check_indices(batch, scheduled, logits_indices)
        for tap in runtime.taps:
            checks.watch_norm(tap, tokens, self._sums)

    def check_sampling(self, sampler: Any, logits: torch.Tensor, metadata: Any) -> None:
        """``Sampler.sample`` is called."""
        if PREPARE not in self._reached:  # a warm-up: no request takes part in it
            return
        self._reached.add(SAMPLE)
        for tap in self._runtime.taps:
            if not tap.calls:
                fail(f"{type(tap.norm).__name__}.forward", "was not called in the forward of a tapped block")
        checks.check_logits(logits, metadata, self._runner)
        if self._runtime.head is not None:
            checks.check_head(self._runtime.head.rows, self._runner)
        if self._draw is None:
            self._draw = sampler.topk_topp_sampler.register_forward_hook(self._check_draw)

    def _check_draw(self, module: Any, inputs: Any, drawn: Any) -> None:
        """vLLM draws."""
        if SAMPLE in self._reached:
            self._pair = checks.check_draw(f"{type(module).__name__}.forward", drawn, self._runner.input_batch.num_reqs)

    def check_drawn(self, drawn: Any, rows: int) -> Any:
        """What is returned for ``Sampler.sample`` in a step with decode rows."""
        pair = checks.check_draw(SAMPLE, drawn, rows)
        if self._pair not in (None, pair):
            fail(SAMPLE, f"would return {checks.described(drawn)}, which is not what vLLM draws")
        self._decoded = True
        return drawn

    def remove(self) -> None:
        """Leave nothing behind in vLLM."""
        if self._draw is not None:
            self._draw.remove()


def instead(instance: Any, hooked: str) -> str:
    """What runs instead of a hooked method, as far as the instance shows."""
    owner, _, name = hooked.partition(".")
    runs = next((kind.__name__ for kind in type(instance).__mro__ if name in vars(kind)), "nothing")
    return "vLLM calls another method" if runs == owner else f"{runs}.{name} runs in its place"


def longest(outputs: Any) -> int:
    """Tokens of the longest sample among these outputs; those of a pooling model have none."""
    samples = [sample for output in outputs if isinstance(output.outputs, list) for sample in output.outputs]
    return max((len(sample.token_ids) for sample in samples), default=0)
