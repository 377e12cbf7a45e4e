"""The runtime: what happens in one step of the engine, in the order in which it happens."""

from typing import Any, Callable, NamedTuple, Optional, Union

import torch

from esamp.config import Config
from esamp.counters import Counters
from esamp.engine import sampling
from esamp.engine.guards import Guards
from esamp.engine.requests import Owner, RequestBook
from esamp.engine.rows import Located, RowIndex, locate
from esamp.engine.support import Memory, check_supported
from esamp.engine.taps import HeadTap, Tap, norm_at, output_at
from esamp.method.bank import Bank, State, bytes_of
from esamp.method.grouping import Grouping, to_device
from esamp.method.intervention import intervene
from esamp.method.network import Network
from esamp.method.optimisers import Optimiser


OTHER_ENGINE = "esamp: it follows another engine of this process; call uninstall(), then install() again for this one"


class Step(NamedTuple):
    """A step that has decode rows: from ``begin_step`` to the end of its sampling."""

    requests: int
    positions: torch.Tensor
    grouping: Grouping


class Trained(NamedTuple):
    """What the last step with decode rows did; ``losses``: a number a slot, ``slots``: of each of ``prompts``."""

    prompts: list[int]
    slots: list[int]
    target: torch.Tensor
    predicted: torch.Tensor
    losses: torch.Tensor


class View(NamedTuple):
    """The runtime's live state, for tests and gates.

    Attributes:
        count: rows in use, at the front of ``source`` and ``index``.
        owners: whose they are.
        source: ``[capture_rows, hidden]`` what the source tap copied.
        index: ``[capture_rows]`` packed row numbers.
        target, predicted: ``[count, hidden]`` of the last step with decode rows.
        prompts, losses: the prompts that trained in it, and ``[prompts]`` the losses of their distillers before it.
        state: a prompt's :class:`State`, or None if it has no distiller.
        distillers, bytes: how many there are for prompts in flight, and what the bank takes.
    """

    count: int
    owners: list[Owner]
    source: torch.Tensor
    index: torch.Tensor
    target: torch.Tensor
    predicted: torch.Tensor
    prompts: list[int]
    losses: torch.Tensor
    state: Callable[[int], Optional[State]]
    distillers: int
    bytes: int


class Runtime:
    """One installed runtime; it follows the engine that gets the first request under the hooks."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.requests = RequestBook()
        self.guards = Guards(self)
        self.hooks: list[Any] = []
        self.taps: list[Tap] = []
        self.head: Optional[HeadTap] = None
        self._engine: Optional[Any] = None
        self._runner: Optional[Any] = None
        self._counted = Counters(torch.device("cpu")).read()
        self._step: Optional[Step] = None
        self._planned: Optional[tuple[Located, Step]] = None
        self._trained: Optional[Trained] = None

    # Binding.

    @property
    def bound(self) -> bool:
        """An engine has taken a step under the hooks."""
        return self._runner is not None

    @property
    def batches_in_flight(self) -> int:
        """Steps of the engine that may go by without running the model: asynchronous scheduling queues two batches."""
        return 2 if self.bound and self._runner.vllm_config.scheduler_config.async_scheduling else 0

    @property
    def registered_by(self) -> str:
        """The method by which the runtime learns of requests."""
        return self.hooks[0].symbol

    def admit(self, engine: Any) -> None:
        """A request is about to enter this engine, or its output processor.

        Raises:
            RuntimeError: the runtime follows another one.
        """
        if self._engine is None:
            self._engine = engine
        if self._engine is not engine:
            raise RuntimeError(OTHER_ENGINE)

    def _bind(self, runner: Any) -> None:
        check_supported(runner.vllm_config)
        settings, scheduler = runner.vllm_config.model_config, runner.vllm_config.scheduler_config
        config, device, hidden = self.config, runner.device, settings.get_hidden_size()
        places = [("source", config.source)] + ([("target", config.target)] if config.target != "lm_head" else [])
        bias = config.gate_bias is not None
        network = Network(hidden, config.blocks, config.width, config.normalise_source, bias, config.output_norm)
        rule = Optimiser(config.optimiser, config.learning_rate, config.epsilon, config.weight_decay, config.clip)
        most = 1 if config.shared else scheduler.max_num_seqs
        self._memory = Memory(device, most, bytes_of(network, rule), network.size)
        self._memory.state(self.requests.prompts)
        first = network.first(config.seed, config.first_deviation, config.zero_down, config.gate_bias or 0.0).to(device)
        self._counters = Counters(device)
        first_only, reserve, report = config.rows == "first", self._memory.reserve, self._counters.add_loss
        self.bank = Bank(network, first, rule, config.shared, first_only, reserve, report)
        self.rows = RowIndex(config.capture_rows or scheduler.max_num_seqs, device)
        for name, place in places:
            norm = norm_at(runner.model, name, place)
            self.taps.append(Tap(norm, output_at(name, place), self.rows, hidden, settings.dtype))
        self.head = HeadTap(runner.model) if config.target == "lm_head" else None
        self._runner = runner

    # One step.

    def begin_execution(self, runner: Any, scheduled: Any) -> None:
        """``execute_model`` is called: forget what ended before, and see that there is room for what comes."""
        for request_id in scheduled.finished_req_ids:
            self.requests.drop(request_id)
        for prompt in self.requests.take_done():
            if self.bound:
                self.bank.release(prompt)
        self.guards.begin_execution(runner, scheduled.num_scheduled_tokens)
        if not scheduled.num_scheduled_tokens:
            return
        if not self.bound:
            self._bind(runner)
        if self._runner is not runner:
            raise RuntimeError(OTHER_ENGINE)
        self._memory.state(self.requests.prompts)

    def begin_step(self, runner: Any, scheduled_tokens: dict[str, int], logits_indices: torch.Tensor) -> None:
        """Before the forward: find the decode rows and point the taps at them."""
        self._step = None
        self.guards.check_batch(runner, scheduled_tokens, logits_indices)
        self._counters.steps += 1
        if self.head is not None:
            self.head.begin_step()
        located = locate(runner.input_batch, scheduled_tokens, self.requests)
        self.guards.check_rows(scheduled_tokens, logits_indices, located)
        self._counters.decode_rows += len(located.owners) + located.unmapped
        self._counters.unmapped_rows += located.unmapped
        if located.owners:
            self._step = self._plan(located)
            self.rows.publish(logits_indices.index_select(0, self._step.positions), located.owners)

    def _plan(self, located: Located) -> Step:
        """Lay the step out; as most steps have the batch of the step before, the last plan often still holds."""
        if self._planned is None or not self._planned[0].same_rows(located):
            grouping = self.bank.group([owner.prompt for owner in located.owners])
            positions = to_device(located.positions, self.rows.buffer.device)
            self._planned = located, Step(located.requests, positions, grouping)
        return self._planned[1]

    def sample(self, sampler: Any, logits: torch.Tensor, metadata: Any) -> Optional[Any]:
        """After the forward: predict, train, intervene, draw as ``Sampler.sample``; None if it has no decode rows."""
        step, self._step = self._step, None
        if self._runner is None:
            return None
        self.guards.check_sampling(sampler, logits, metadata)
        fired = min(tap.take_calls() for tap in (*self.taps, *([self.head] if self.head else [])))
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
        predicted = self._learn(step)
        drawn = sampling.sample(
            sampler, logits, metadata, lambda moved, heat: self._intervene(moved, step, heat, predicted)
        )
        return self.guards.check_drawn(drawn, step.requests)

    def _learn(self, step: Step) -> torch.Tensor:
        """Predict with the distillers as they are, then let them learn from this step's rows."""
        source = self.taps[0].captured(step.positions)
        target = (self.head or self.taps[1]).captured(step.positions)
        predicted, seen = self.bank.predict(source, step.grouping)
        losses = self.bank.train(seen, target, step.grouping)
        prompts = list(dict.fromkeys(owner.prompt for owner in self.rows.owners))
        slots = [self.bank.slots.find(prompt) for prompt in prompts]
        self._trained = Trained(prompts, slots, target, predicted, losses)
        return predicted

    def _intervene(
        self, logits: torch.Tensor, step: Step, temperature: Optional[torch.Tensor], predicted: torch.Tensor
    ) -> None:
        model, config = self._runner.model, self.config
        rows = predicted.to(self.taps[0].buffer.dtype)
        moved = intervene(
            logits,
            step.positions,
            temperature if config.tempered else None,
            config.beta,
            lambda part: model.logits_processor(model.lm_head, rows[part]).float(),
            config.readout_rows,
        )
        self._counters.add_moved(moved, step.positions.shape[0])

    # Looking in, and leaving.

    def counters(self) -> dict[str, Union[int, float, bool]]:
        """Every counter since installation; all of them zero before the first step."""
        if self._runner is not None:
            self.bank.join()
            self._counted = self._counters.read()
        return self._counted

    def view(self) -> Optional[View]:
        """The live state; None before the first step with decode rows."""
        if self._runner is None or self._trained is None:
            return None
        self.bank.join()
        return View(
            self.rows.count,
            self.rows.owners,
            self.taps[0].buffer,
            self.rows.buffer,
            self._trained.target,
            self._trained.predicted,
            self._trained.prompts,
            self._trained.losses[self._trained.slots],
            self.bank.state,
            len(self.bank.slots),
            self.bank.capacity * self.bank.bytes_each,
        )

    def uninstall(self) -> None:
        """Take every hook out of vLLM and give the memory back; the counters stay. Safe to call twice."""
        while self.hooks:
            self.hooks.pop().remove()
        self.guards.remove()
        self.counters()
        for tap in (*self.taps, *([self.head] if self.head else [])):
            tap.remove()
        self.taps, self.head, self._runner, self._engine = [], None, None, None
        self._step = self._planned = self._trained = None
        self.bank = self.rows = self._counters = None
