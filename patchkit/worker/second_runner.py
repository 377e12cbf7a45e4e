"""The adapter of vLLM's second model runner; see ``runners.py``."""

from collections.abc import Callable, Collection, Iterator
from typing import Any

import torch
import vllm.v1.worker.gpu.sample.sampler as sampler_module
from patchkit_worker.sampler_hooks import SamplerHooks, token_ids_of
from patchkit_worker.views import Sampling
from vllm.v1.worker.gpu.model_runner import GPUModelRunner
from vllm.v1.worker.gpu.sample.sampler import Sampler


class SecondSamplerHooks(SamplerHooks):
    """Draws are those of the function ``gumbel_sample``, with the seed and the position of each row."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._observing = False
        draw = sampler_module.gumbel_sample

        def gumbel_sample(logits: torch.Tensor, *given: Any, **named: Any) -> Any:
            if not self._observing:
                return draw(logits, *given, **named)
            self._begin_draw(logits, *given, **named)
            drawn = draw(logits, *given, **named)
            self._around(True)
            self._drawn = drawn.clone()
            return drawn

        sampler_module.gumbel_sample = gumbel_sample

    def _sample(self, logits: torch.Tensor, *given: Any, **named: Any) -> Any:
        if not self._wanted():
            return type(self._sampler).sample(self._sampler, logits, *given, **named)
        before, hidden, states = logits.clone(), self._hidden, self._sampler.sampling_states
        for_filters = {name: value for name, value in named.items() if name != "return_logprobs"}
        filtered = self._sampler.apply_sampling_params(logits.clone(), *given, **for_filters).float()
        mapping = given[0] if given else named["expanded_idx_mapping"]
        heat = states.temperature.gpu[mapping]
        self._expected = mapping, states.temperature.gpu, states.seeds.gpu
        self._after, self._drawn, self._calls, self._same = None, None, 0, True
        self._observing = True
        try:
            result = type(self._sampler).sample(self._sampler, logits, *given, **named)
        finally:
            self._observing = False
        self._on_sampled(
            Sampling(
                before=before,
                filtered=filtered,
                temperature=torch.where(heat == 0, 1.0, heat),
                greedy=heat == 0,
                after=self._after,
                tokens=token_ids_of(result),
                drawn=self._drawn,
                draws=self._calls,
                same_generators=self._same,
                strange=self._strange(logits, before, result) if named.get("return_logprobs") else None,
                hidden=hidden,
                metadata=None,
            )
        )
        return result

    def _strange(self, logits: torch.Tensor, before: torch.Tensor, result: Any) -> torch.Tensor | None:
        """Which rows' log-probabilities are made of other logits than they should: vLLM makes them after drawing."""
        processed = str(self._sampler.logprobs_mode).startswith("processed")
        found, wanted = (result[1], self._after) if processed else (logits, before)
        return None if wanted is None else (found != wanted).any(dim=1)

    def _begin_draw(
        self,
        logits: torch.Tensor,
        mapping: torch.Tensor,
        temperature: torch.Tensor,
        seeds: torch.Tensor,
        positions: torch.Tensor,
        apply_temperature: bool,
        **named: Any,
    ) -> None:
        """vLLM is about to draw."""
        self._after = logits.to(torch.float32, copy=True)
        self._calls += 1
        given = (mapping, temperature, seeds)
        alike = all(torch.equal(one, other) for one, other in zip(given, self._expected, strict=True))
        self._same = self._same and alike and not apply_temperature
        self._around(False)


class SecondRunner:
    """One engine's runner, a ``vllm.v1.worker.gpu.model_runner.GPUModelRunner``."""

    name = "v2"
    owner: type = GPUModelRunner
    prepare = "prepare_inputs"
    sampler: type = Sampler
    hook_sampler = SecondSamplerHooks

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self._batch: Any = None
        self._before_forward: Callable[[], None] = lambda: None
        prepare_attention = runner.prepare_attn

        def prepare_attn(batch: Any, *given: Any, **named: Any) -> Any:
            self._batch = batch
            self._before_forward()
            return prepare_attention(batch, *given, **named)

        # The step after the inputs are made gets them whole, whoever has overridden the method that makes them.
        runner.prepare_attn = prepare_attn

    def order(self) -> list[str]:
        """Request ids of the step in the order in which they are packed."""
        return list(self._batch.req_ids[: self._batch.num_reqs])

    def before_forward(self, call: Callable[[], None]) -> None:
        """Have ``call`` called before each forward pass, compiled or not; hooks of a compiled model never run."""
        self._before_forward = call

    def held(self) -> Collection[str]:
        """Ids of all requests that the runner holds, in this step or not."""
        held: Collection[str] = self._runner.req_states.req_id_to_index.keys()
        return held

    def sampler_parts(self) -> Iterator[tuple[str, Any]]:
        """The sampler and the states that it keeps for requests, by name."""
        yield "sampler", self._runner.sampler
        for name, one in vars(self._runner.sampler).items():
            if type(one).__module__.startswith("vllm."):
                yield f"sampler.{name}", one

    def around_setup(self, around: Any) -> None:
        """A request without a seed gets one from numpy's global generator when the runner takes it in."""
        take_in = self._runner.add_requests

        def add_requests(*given: Any, **named: Any) -> Any:
            around(False)
            try:
                return take_in(*given, **named)
            finally:
                around(True)

        self._runner.add_requests = add_requests

    @staticmethod
    def misplace(batch: Any) -> Any:
        """What ``prepare_inputs`` returns, with the requests' numbers of tokens in place of the logits indices."""
        batch.true_logits_indices = batch.logits_indices
        batch.logits_indices = batch.logits_indices.diff(prepend=batch.logits_indices.new_full((1,), -1))
        return batch

    @staticmethod
    def put_back(batch: Any) -> Any:
        """The same as vLLM's own caller expects it."""
        batch.logits_indices = batch.true_logits_indices
        return batch
