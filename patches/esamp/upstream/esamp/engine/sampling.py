"""Sampling with the intervention after the filters.

vLLM's ``Sampler.sample`` filters and draws in one go; to step in between, a step with decode rows is sampled here, with
vLLM's own parts in vLLM's own order: temperature, argmax-invariant processors (min-p), top-k and top-p, draw.
"""

from typing import Any, Callable

import torch
from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p

# Below this temperature a request is greedy, as vLLM has it (vllm.v1.sample.sampler._SAMPLING_EPS).
GREEDY_TEMPERATURE = 1e-5


def sample(sampler: Any, logits: torch.Tensor, metadata: Any, intervene: Callable[..., None]) -> torch.Tensor:
    """Draw a token for every row of a step that has decode rows.

    Args:
        sampler: vLLM's ``Sampler``.
        logits: ``[requests, vocabulary]`` float32; changed in place.
        metadata: vLLM's ``SamplingMetadata`` of this step.
        intervene: moves the logits in place, given the logits and the temperatures they were divided by, or None.

    Returns:
        ``[requests]`` token ids.
    """
    if metadata.all_greedy:
        intervene(logits, None)
        return logits.argmax(dim=-1)

    greedy = metadata.temperature < GREEDY_TEMPERATURE
    temperature = torch.where(greedy, 1.0, metadata.temperature)
    logits = _filter(sampler, logits, metadata, temperature)
    intervene(logits, temperature)
    best = None if metadata.all_random else logits.argmax(dim=-1)
    drawn = _draw(sampler, logits, metadata)
    return drawn if best is None else torch.where(greedy, best, drawn)


def _filter(sampler: Any, logits: torch.Tensor, metadata: Any, temperature: torch.Tensor) -> torch.Tensor:
    """Apply temperature, min-p, top-k and top-p; a greedy row, whose temperature is 1 here, passes them unchanged."""
    logits = sampler.apply_temperature(logits, temperature)
    for processor in metadata.logitsprocs.argmax_invariant:
        logits = processor.apply(logits)
    return apply_top_k_top_p(logits, metadata.top_k, metadata.top_p)


def _draw(sampler: Any, logits: torch.Tensor, metadata: Any) -> torch.Tensor:
    """Draw from filtered logits with vLLM's own sampler, each request from its own generator if it has one."""
    token_ids = sampler.topk_topp_sampler(logits, metadata.generators, None, None)
    return token_ids.long()
