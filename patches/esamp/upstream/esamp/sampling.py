"""Sampling with the intervention after the filters (``post_filter_exact``).

vLLM's ``Sampler.sample`` filters and draws in one go; to step in between, a step with decode rows is sampled here, with
vLLM's own parts in vLLM's own order: temperature, argmax-invariant processors (min-p), top-k and top-p, draw.
"""

from typing import Any, Callable, Optional

import torch
from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p

# Below this temperature a request is greedy, as vLLM has it (vllm.v1.sample.sampler._SAMPLING_EPS).
GREEDY_TEMPERATURE = 1e-5
# Rows are taken so many logits at a time: bounds the memory whatever the filters keep.
CHUNK_ELEMENTS = 1 << 25

# Given rows (a slice) of a step, the [rows, vocabulary] float32 logits of the distillers.
Readout = Callable[[slice], torch.Tensor]


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


def intervene_rows(
    logits: torch.Tensor,
    rows: torch.Tensor,
    temperature: Optional[torch.Tensor],
    beta: float,
    readout: Readout,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Move the decode rows' surviving logits away from the distillers', in place.

    new = logit + beta * (logit - logit_distiller / temperature), which is (1 + beta) * logit - beta * logit_distiller,
    written so that beta = 0 changes no bit. A filtered token, at minus infinity, stays where it is, and so does one
    whose prediction is no number.

    Args:
        logits: ``[requests, vocabulary]`` after temperature and filters.
        rows: ``[decode rows]`` which of them to move.
        temperature: ``[requests]`` what the logits were divided by; None if by nothing.
        beta: strength.
        readout: the distillers' logits.

    Returns:
        Tokens that survived the filters and tokens whose logit changed, 0-dimensional, over all moved rows.
    """
    candidates = torch.zeros((), dtype=torch.int64, device=logits.device)
    changed = torch.zeros_like(candidates)
    chunk = max(1, CHUNK_ELEMENTS // logits.shape[1])
    for start in range(0, rows.shape[0], chunk):
        part = slice(start, start + chunk)
        before = logits.index_select(0, rows[part])
        predicted = readout(part)
        if temperature is not None:
            predicted = predicted / temperature.index_select(0, rows[part]).unsqueeze(1)
        sound = before.isfinite() & predicted.isfinite()
        after = torch.where(sound, torch.add(before, before - predicted, alpha=beta), before)
        logits.index_copy_(0, rows[part], after)
        candidates += (before > float("-inf")).sum()
        changed += (logits.index_select(0, rows[part]) != before).sum()
    return candidates, changed


def _draw(sampler: Any, logits: torch.Tensor, metadata: Any) -> torch.Tensor:
    """Draw from filtered logits with vLLM's own sampler, each request from its own generator if it has one."""
    token_ids = sampler.topk_topp_sampler(logits, metadata.generators, None, None)
    return token_ids.long()
