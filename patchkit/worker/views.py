"""The views of a step that observers get: the engine, its rows, and how its tokens were drawn."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch
from patchkit_worker.steps import Shape


@dataclass(frozen=True)
class Engine:
    """The parts of vLLM that the model runs in.

    Attributes:
        runner: its ``GPUModelRunner``, of whichever of the two kinds runs.
        adapter: what both kinds are asked for in the same words; see ``runners.py``.
    """

    runner: Any
    model: torch.nn.Module
    device: torch.device
    adapter: Any

    def held(self) -> Collection[str]:
        """Ids of all requests that the runner holds, in this step or not."""
        held: Collection[str] = self.adapter.held()
        return held


@dataclass(frozen=True)
class Row:
    """One request's tokens in a step.

    Attributes:
        request_id: as the engine's core knows it.
        prompt: the caller's number of the prompt, counted over the pass; None if two are alike and it is ambiguous.
        sample: which of the prompt's samples; None if it is ambiguous.
        start, tokens: positions ``start .. start + tokens - 1`` of the request are computed.
        decode: its only token of the step, behind the prompt, at a position never computed before.
        samples: the step computes its newest token, so that the next one is drawn and kept.
        last: where its last token stands among all tokens of the step, as the runner packed them.
    """

    request_id: str
    prompt: int | None
    sample: int | None
    start: int
    tokens: int
    decode: bool
    samples: bool
    last: int


@dataclass(frozen=True)
class StepView:
    """A step before its forward: its rows in the order in which the runner packed them, and its shape."""

    rows: list[Row]
    shape: Shape


@dataclass(frozen=True)
class Sampling:
    """How one step's tokens were drawn; ``[requests, …]`` in packed order, also for requests whose token is dropped.

    Attributes:
        before: ``[requests, vocabulary]`` the logits that ``Sampler.sample`` was given, a copy.
        filtered: ``[requests, vocabulary]`` the worker's own temperature, min-p, top-k and top-p of them.
        temperature: ``[requests]`` what they are divided by, 1 for greedy rows.
        greedy: ``[requests]`` bool.
        after: ``[requests, vocabulary]`` what tokens were drawn from, a copy; None if vLLM's sampler was not called.
        tokens: ``[requests]`` what ``Sampler.sample`` returned.
        drawn: ``[requests]`` what vLLM's ``topk_topp_sampler`` (in the second runner ``gumbel_sample``) returned; None
            if it was not called.
        draws: how often it was called.
        same_generators: whether it was given the generators (in the second runner the seeds, temperatures and states)
            of the batch.
        strange: ``[requests]`` bool, which rows' log-probabilities vLLM will make of other logits than of those before
            the filters or, in a processed mode, those drawn from; None if it makes none, or made them before.
        hidden: ``[requests, hidden]`` what vLLM handed to ``compute_logits``, a copy; None if it is not observed.
        metadata: vLLM's ``SamplingMetadata``; None in the second runner, which has none.
    """

    before: torch.Tensor
    filtered: torch.Tensor
    temperature: torch.Tensor
    greedy: torch.Tensor
    after: torch.Tensor | None
    tokens: torch.Tensor
    drawn: torch.Tensor | None
    draws: int
    same_generators: bool
    strange: torch.Tensor | None
    hidden: torch.Tensor | None
    metadata: Any
