"""Observes every step of the engine below the runtime: its rows, how its tokens were drawn, the runtime's counters.

All of it hooks vLLM before the runtime does, so that it sees vLLM's actual inputs and outputs.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import torch
from patchkit_worker.left_behind import Randomness
from patchkit_worker.probe import Guarded
from patchkit_worker.runners import Adapter
from patchkit_worker.steps import Shape, Span, StepTracker
from patchkit_worker.token_checks import check_sampling
from patchkit_worker.views import Engine, Row, Sampling, StepView
from vllm import LLM

Owners = dict[tuple[tuple[int, ...], Any], tuple[int | None, int | None]]
NO_PROBE = Guarded(None, None)


def engine_of(llm: LLM) -> Engine:
    """The parts of an engine that runs in this process."""
    (runner,) = llm.collective_rpc(lambda worker: worker.model_runner)
    return Engine(runner, runner.get_model(), runner.device, Adapter(runner))


class Observer:
    """Hooks vLLM for one engine; ``emit`` gets every step as soon as it is over."""

    def __init__(
        self, engine: Engine, watch: list[str], counters: Mapping[str, str], emit: Callable[..., None]
    ) -> None:
        self._engine, self._watch, self._counters, self._emit = engine, set(watch), counters, emit
        self._batch = Batch(engine)
        self._random: Randomness | None = None
        self._sampler_hooks = Adapter.hook_sampler(engine, self._sampled, wanted=self._wanted, around=self._around_draw)
        engine.adapter.around_setup(self._around_draw)
        self._runtime: Any | None = None
        self._probe = NO_PROBE
        self._off = False
        self._counted: dict[str, Any] = {}
        self._sampling: dict[str, Any] | None = None
        self._pending = self._begun = False
        self.step = self.steps_of_call = 0
        self.distributions: dict[tuple[tuple[int, ...], int], torch.Tensor] = {}
        if engine.runner.vllm_config.model_config.enforce_eager:
            engine.model.register_forward_pre_hook(lambda module, inputs: self._before_forward())
        else:
            engine.adapter.before_forward(self._before_forward)
        original, observer = Adapter.owner.execute_model, self

        def execute_model(runner: Any, scheduled: Any, *rest: Any, **named: Any) -> Any:
            observer._begin(scheduled)
            return original(runner, scheduled, *rest, **named)

        Adapter.owner.execute_model = execute_model

    @property
    def shape(self) -> Shape:
        """Of the step begun last."""
        return self._batch.shape

    def begin_pass(
        self, runtime: Any | None, probe: Guarded = NO_PROBE, off: bool = False, random: Randomness | None = None
    ) -> None:
        """A pass starts, without a runtime, or with one that is on or off and whose probe observes.

        ``random`` checks that global generators are unchanged while vLLM does not draw.
        """
        self._runtime, self._probe, self._off, self._random = runtime, probe, off, random
        self._counted = self._counters_now()
        self._batch.owners.clear()
        self._sampler_hooks.attach()

    def end_pass(self) -> None:
        """The pass is over: hold nothing of it."""
        self._runtime, self._probe, self._random, self._sampling = None, NO_PROBE, None, None
        self.distributions = {}
        self._sampler_hooks.begin_step()

    def _around_draw(self, over: bool) -> None:
        """vLLM is about to draw, or has drawn."""
        if self._random is not None and over:
            self._random.resume()
        elif self._random is not None:
            self._random.check(self.step)

    def begin_call(self, owners: Owners) -> None:
        """A call starts; ``owners``: (prompt tokens, seed) of a request to its (prompt, sample)."""
        self._batch.owners.update(owners)
        self.distributions = {}
        self.steps_of_call = 0

    # One step: execute_model, the forward, compute_logits, Sampler.sample, and the engine's step is over.

    def _begin(self, scheduled: Any) -> None:
        self.flush()
        self._batch.take(scheduled)
        self._sampler_hooks.begin_step()
        self._sampling, self._begun = None, False
        if scheduled.total_num_scheduled_tokens:
            self._pending = True
            self.step += 1
            self.steps_of_call += 1

    def _before_forward(self) -> None:
        """Only here are the requests in their final order."""
        if self._pending and not self._begun:
            self._begun = True
            if self._probe:
                self._probe.begin_step(self._batch.view())

    def _wanted(self) -> bool:
        return self._pending and (self._runtime is not None or "distributions" in self._watch)

    def _sampled(self, sampling: Sampling) -> None:
        if "distributions" in self._watch and sampling.after is not None:
            self._keep_distributions(sampling.after)
        if self._runtime is not None:
            self._sampling = check_sampling(sampling, self._off)
            self._probe.sampled(sampling)

    def flush(self) -> None:
        """The step begun last is over: report it, and poison what the runtime left behind."""
        if not self._pending:
            return
        self._pending = False
        fields: dict[str, Any] = {"step": self.step, "shape": asdict(self.shape)}
        if self._runtime is not None:
            fields["runtime"], fields["sampling"] = self._count(), self._sampling
            if self._begun and self._probe:
                fields["observed"] = self._probe.end_step()
                if "poison" in self._watch:
                    self._probe.poison()
                    fields["poisoned"] = True
        self._emit(**fields)

    def _counters_now(self) -> dict[str, Any]:
        return dict(self._runtime.counters()) if self._runtime is not None and self._counters else {}

    def _count(self) -> dict[str, Any]:
        """The declared counters: differences over the step, but ``any`` as they stand; null where there is none."""
        before, self._counted = self._counted, self._counters_now()
        return {
            name: self._counted.get(name)
            if must_be == "any" or not is_number(self._counted.get(name))
            else self._counted[name] - (before.get(name) or 0)
            for name, must_be in self._counters.items()
        }

    def _keep_distributions(self, after: torch.Tensor) -> None:
        for row, request_id in enumerate(self._batch.order()):
            key = self._batch.position(request_id)
            if key is not None:
                self.distributions[key] = after[row].softmax(-1).float().cpu()


class Batch:
    """The requests of a step, from the scheduler's output, and their order, from the runner."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tracker = StepTracker()
        self._spans: dict[str, Span] = {}
        self.shape = Shape()
        self.owners: Owners = {}

    def take(self, scheduled: Any) -> None:
        """A step was scheduled."""
        self.shape, self._spans = self._tracker.take(scheduled)

    def order(self) -> list[str]:
        """Request ids in the order in which the runner packed them."""
        order: list[str] = self._engine.adapter.order()
        return order

    def view(self) -> StepView:
        """The step, row by row."""
        rows: list[Row] = []
        end = 0
        for request_id in self.order():
            span, request = self._spans[request_id], self._tracker.requests[request_id]
            end += span.tokens
            prompt, sample = self.owners.get((request.prompt_token_ids, request.seed), (None, None))
            rows.append(
                Row(request_id, prompt, sample, span.start, span.tokens, span.decode, span.samples, last=end - 1)
            )
        return StepView(rows, self.shape)

    def position(self, request_id: str) -> tuple[tuple[int, ...], int] | None:
        """Prompt tokens, and how many tokens of its answer a request has before the one it draws; None if none is."""
        span, request = self._spans[request_id], self._tracker.requests[request_id]
        if not span.samples:
            return None
        return request.prompt_token_ids, span.start + span.tokens - request.prompt_length


def is_number(value: Any) -> bool:
    """Something to subtract."""
    return isinstance(value, int | float) and not isinstance(value, bool)
