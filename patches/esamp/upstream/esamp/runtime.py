"""The runtime: what happens in one step of the engine, in the order in which it happens."""

from typing import Any, NamedTuple, Optional, Union

import torch

from esamp import sampling
from esamp.bank import Grouping, ModelBank
from esamp.config import Config
from esamp.counters import Counters
from esamp.requests import Owner, RequestBook
from esamp.rows import Located, RowIndex, locate, to_device
from esamp.taps import Tap, find_blocks


class Step(NamedTuple):
    """A step that has decode rows: from ``begin_step`` to the end of its sampling."""

    requests: int
    sampler_rows: torch.Tensor
    grouping: Grouping


class View(NamedTuple):
    """The runtime's live buffers, for tests and gates.

    Attributes:
        count: rows in use, at the front of every buffer.
        owners: whose they are.
        shallow, deep: ``[capture_rows, hidden]``.
        index: ``[capture_rows]`` packed row numbers.
    """

    count: int
    owners: list[Owner]
    shallow: torch.Tensor
    deep: torch.Tensor
    index: torch.Tensor


class Runtime:
    """One installed runtime; it binds to the engine that takes the first step."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.requests = RequestBook()
        self._runner: Optional[Any] = None
        self._hooks: list[Any] = []
        self._step: Optional[Step] = None
        self._planned: Optional[tuple[Located, Step]] = None

    # Binding.

    @property
    def bound(self) -> bool:
        """An engine has taken a step under the hooks."""
        return self._runner is not None

    def _bind(self, runner: Any) -> None:
        if self._runner is runner:
            return
        if self._runner is not None:
            raise RuntimeError("esamp: another engine took a step; uninstall and install once more for a new engine")
        check_supported(runner.vllm_config)
        settings = runner.vllm_config.model_config
        device, hidden = runner.device, settings.get_hidden_size()
        capacity = self.config.capture_rows or runner.vllm_config.scheduler_config.max_num_seqs
        blocks = find_blocks(runner.model)
        shallow, deep = (blocks[layer].input_layernorm for layer in (self.config.shallow_layer, self.config.deep_layer))
        self._counters = Counters(device)
        self.bank = ModelBank(self.config, hidden, device, self._counters)
        self.rows = RowIndex(capacity, device)
        self.shallow = Tap(shallow, self.rows, hidden, settings.dtype)
        self.deep = Tap(deep, self.rows, hidden, settings.dtype)
        self._runner = runner

    # One step.

    def end_requests(self, request_ids: set[str]) -> None:
        """Requests that ended before this step: forget them, and free the slots of prompts that are done."""
        for request_id in request_ids:
            self.requests.drop(request_id)
        for prompt in self.requests.take_done():
            if self.bound:
                self.bank.release(prompt)

    def begin_step(self, runner: Any, scheduled_tokens: dict[str, int], logits_indices: torch.Tensor) -> None:
        """Before the forward: find the decode rows and point the taps at them."""
        self._bind(runner)
        self._step = None
        self._counters.steps += 1
        if logits_indices is None:  # a pooling model: nothing is sampled
            return
        located = locate(runner.input_batch, scheduled_tokens, self.requests)
        self._counters.decode_rows += len(located.owners) + located.unmapped
        self._counters.unmapped_rows += located.unmapped
        if located.owners:
            self._step = self._plan(located)
            self.rows.publish(logits_indices.index_select(0, self._step.sampler_rows), located.owners)

    def _plan(self, located: Located) -> Step:
        """Lay the step out; as most steps have the batch of the step before, the last plan often still holds."""
        if self._planned is None or not self._planned[0].same_rows(located):
            grouping = self.bank.group(self.bank.take_slots(located.owners))
            rows = to_device(located.positions, self.rows.buffer.device)
            self._planned = located, Step(located.requests, rows, grouping)
        return self._planned[1]

    def sample(self, sampler: Any, logits: torch.Tensor, metadata: Any) -> Optional[Any]:
        """After the forward: predict, train, intervene and draw as ``Sampler.sample``; None if it has no decode rows."""
        step, self._step = self._step, None
        if self._runner is None:
            return None
        fired = min(self.shallow.take_calls(), self.deep.take_calls())
        if fired and self.rows.count:
            self._counters.port_hits += 1
            self._counters.captured_rows += self.rows.count
        if step is None:
            return None
        if not fired or logits.shape[0] != step.requests:
            raise RuntimeError(
                f"esamp: the taps ran {fired} times and the sampler got {logits.shape[0]} rows in a step of "
                f"{step.requests} requests"
            )
        count = self.rows.count
        predicted, seen = self.bank.predict(self.shallow.buffer[:count], step.grouping)
        self.bank.train(seen, self.deep.buffer[:count], step.grouping)
        return sampling.sample(
            sampler, logits, metadata, lambda moved, heat: self._intervene(moved, step, heat, predicted)
        )

    def _intervene(
        self, logits: torch.Tensor, step: Step, temperature: Optional[torch.Tensor], predicted: torch.Tensor
    ) -> None:
        model = self._runner.model
        rows = predicted.to(self.deep.buffer.dtype)
        counts = sampling.intervene_rows(
            logits,
            step.sampler_rows,
            temperature,
            self.config.beta,
            lambda part: model.logits_processor(model.lm_head, rows[part]).float(),
        )
        self._counters.add_tokens(*counts)
        self._counters.intervened_rows += step.sampler_rows.shape[0]

    # Looking in, and leaving.

    def counters(self) -> dict[str, Union[int, float, bool]]:
        """Every counter since installation; all of them zero before the first step."""
        if self._runner is None:
            return Counters(torch.device("cpu")).read()
        self.bank.join()
        return self._counters.read()

    def view(self) -> Optional[View]:
        """The live buffers; None before the first step."""
        if self._runner is None:
            return None
        return View(self.rows.count, self.rows.owners, self.shallow.buffer, self.deep.buffer, self.rows.buffer)

    def uninstall(self) -> None:
        """Take every hook out of vLLM; safe to call twice."""
        while self._hooks:
            self._hooks.pop().remove()
        if self._runner is not None:
            self.bank.join()
            self.shallow.remove()
            self.deep.remove()
            self._runner = None


def check_supported(settings: Any) -> None:
    """Refuse an engine in which the hooks would be dead or wrong; ``settings``: ``VllmConfig``."""
    if not settings.model_config.enforce_eager:
        raise RuntimeError("esamp: needs enforce_eager=True; a captured graph would replay without the taps")
    parallel = settings.parallel_config
    if parallel.world_size > 1 or parallel.data_parallel_size > 1:
        raise RuntimeError("esamp: runs on one device; leave tensor, pipeline and data parallel sizes at 1")
    if settings.speculative_config is not None:
        raise RuntimeError("esamp: speculative decoding samples elsewhere; leave speculative_config unset")
