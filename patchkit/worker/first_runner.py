"""The adapter of vLLM's first model runner; see ``runners.py``."""

from collections.abc import Callable, Collection, Iterator
from typing import Any

import torch
from patchkit_worker.sampler_hooks import SamplerHooks, token_ids_of
from patchkit_worker.token_checks import filters, undo_greedy_sign
from patchkit_worker.views import Sampling
from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p
from vllm.v1.sample.sampler import Sampler
from vllm.v1.worker.gpu_model_runner import GPUModelRunner


class FirstSamplerHooks(SamplerHooks):
    """Draws are those of ``Sampler.topk_topp_sampler``, a module."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        inner = self._sampler.topk_topp_sampler
        inner.register_forward_pre_hook(self._before_draw, with_kwargs=True)
        inner.register_forward_hook(self._after_draw)

    def begin_step(self) -> None:
        """Forget the step before."""
        super().begin_step()
        self._generators: Any = None

    def _sample(self, logits: torch.Tensor, *given: Any, **named: Any) -> Any:
        if not self._wanted():
            return type(self._sampler).sample(self._sampler, logits, *given, **named)
        metadata = given[0] if given else named["sampling_metadata"]
        before, hidden = logits.clone(), self._hidden
        temperature, greedy, filtered = filters(before, metadata)
        self._after, self._drawn, self._calls = None, None, 0
        result = type(self._sampler).sample(self._sampler, logits, *given, **named)
        self._on_sampled(
            Sampling(
                before=before,
                filtered=filtered,
                temperature=temperature,
                greedy=greedy,
                after=undo_greedy_sign(logits if metadata.all_greedy else self._after, filtered, greedy),
                tokens=token_ids_of(result),
                drawn=self._drawn,
                draws=self._calls,
                same_generators=self._generators == metadata.generators,
                strange=None,
                hidden=hidden,
                metadata=metadata,
            )
        )
        return result

    def _before_draw(self, module: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        if not self._wanted():
            return
        logits, self._generators, top_k, top_p = (*inputs, *named.values())
        self._after = apply_top_k_top_p(logits.clone(), top_k, top_p)
        self._calls += 1
        self._around(False)

    def _after_draw(self, module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        if self._wanted():
            self._around(True)
            self._drawn = token_ids_of(output).clone()


class FirstRunner:
    """One engine's runner, a ``vllm.v1.worker.gpu_model_runner.GPUModelRunner``."""

    name = "v1"
    owner: type = GPUModelRunner
    prepare = "_prepare_inputs"
    sampler: type = Sampler
    hook_sampler = FirstSamplerHooks

    def __init__(self, runner: Any) -> None:
        self._runner = runner

    def order(self) -> list[str]:
        """Request ids of the step in the order in which they are packed."""
        batch = self._runner.input_batch
        return list(batch.req_ids[: batch.num_reqs])

    def before_forward(self, call: Callable[[], None]) -> None:
        """Have ``call`` called before each forward pass, compiled or not; hooks of a compiled model never run."""
        forward = self._runner._model_forward

        def model_forward(*given: Any, **named: Any) -> Any:
            call()
            return forward(*given, **named)

        self._runner._model_forward = model_forward

    def held(self) -> Collection[str]:
        """Ids of all requests that the runner holds, in this step or not."""
        held: Collection[str] = self._runner.requests.keys()
        return held

    def sampler_parts(self) -> Iterator[tuple[str, Any]]:
        """The sampler's modules, by name."""
        for name, one in self._runner.sampler.named_modules():
            yield f"sampler.{name}" if name else "sampler", one

    def around_setup(self, around: Any) -> None:
        """Nothing is drawn outside of the sampler."""

    @staticmethod
    def misplace(prepared: Any) -> Any:
        """What ``_prepare_inputs`` returns, with the requests' numbers of tokens before the logits indices."""
        at = position_of_indices(prepared)
        tokens = prepared[at].diff(prepend=prepared[at].new_full((1,), -1))
        return (*prepared[:at], tokens, *prepared[at:])

    @staticmethod
    def put_back(prepared: Any) -> Any:
        """The same as vLLM's own caller expects it."""
        at = position_of_indices(prepared)
        return (*prepared[:at], *prepared[at + 1 :])


def position_of_indices(prepared: tuple[Any, ...]) -> int:
    """Index of the first tensor of row numbers."""
    return next(
        at
        for at, value in enumerate(prepared)
        if isinstance(value, torch.Tensor) and value.dim() == 1 and value.dtype in (torch.int32, torch.int64)
    )
