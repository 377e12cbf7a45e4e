"""Whether a step's tokens are those that were drawn for its rows, from the tokens that vLLM's filters keep."""

from typing import Any

import torch
from patchkit_worker.views import Sampling
from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p

GREEDY_TEMPERATURE = 1e-5  # below it vLLM takes the highest logit


def filters(logits: torch.Tensor, metadata: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """``[requests, vocabulary]`` logits through vLLM's own filters, in vLLM's order; the logits are left as they are.

    Returns:
        ``[requests]`` what they were divided by (1 for a greedy row), ``[requests]`` bool which rows are greedy, and
        ``[requests, vocabulary]`` the logits after temperature, min-p, top-k and top-p, -inf where a token is dropped.
    """
    rows = logits.shape[0]
    if metadata.temperature is None:  # all are greedy: vLLM keeps none
        greedy = torch.ones(rows, dtype=torch.bool, device=logits.device)
    else:
        greedy = metadata.temperature[:rows] < GREEDY_TEMPERATURE
    temperature = torch.ones(rows, device=logits.device)
    if metadata.all_greedy:
        return temperature, greedy, logits.clone()
    temperature = torch.where(greedy, 1.0, metadata.temperature[:rows])
    logits = logits / temperature.unsqueeze(1)
    for processor in metadata.logitsprocs.argmax_invariant:
        logits = processor.apply(logits)
    return temperature, greedy, apply_top_k_top_p(logits, metadata.top_k, metadata.top_p)


def check_sampling(sampling: Sampling, off: bool) -> dict[str, Any]:
    """Every row; see ``sampling`` in docs/worker-protocol.md. ``off``: the logits must be unchanged."""
    rows = sampling.before.shape[0]
    greedy = int(sampling.greedy.sum())
    kept = sampling.filtered > float("-inf")
    return {
        "checked": rows,
        "greedy": greedy,
        "drawn": rows - greedy,
        "lone": int((kept.sum(dim=1) == 1).sum()),
        "unlike": first_mismatch(sampling, kept, off),
    }


def first_mismatch(sampling: Sampling, kept: torch.Tensor, off: bool) -> dict[str, Any] | None:
    """The first row that was sampled wrongly, and how; None if there is none."""
    random = ~sampling.greedy
    if bool(random.any()):
        if sampling.draws != 1 or sampling.drawn is None:
            return {"row": first(random), "what": f"vLLM's sampler was called {sampling.draws} times, not once"}
        if not sampling.same_generators:
            return {"row": first(random), "what": "vLLM's sampler was not given the generators of the batch"}
    if sampling.after is None:
        return {"row": 0, "what": "what it was drawn from was not seen"}
    if sampling.after.shape != kept.shape:
        return {"row": 0, "what": f"drawn from {list(sampling.after.shape)} logits, not {list(kept.shape)}"}
    tokens = sampling.tokens.flatten().to(torch.int64)
    survives = sampling.after > float("-inf")
    highest = sampling.after.argmax(dim=-1)
    drawn = tokens if sampling.drawn is None else sampling.drawn.flatten().to(torch.int64)
    wrong = [
        ((survives != kept).any(dim=1), "other tokens survive than vLLM's filters keep"),
        (random & (tokens != drawn), "its token is not the one that was drawn for it"),
        (sampling.greedy & (tokens != highest), "a greedy row did not take its highest logit"),
        (~survives.gather(1, tokens.unsqueeze(1)).squeeze(1), "its token is none that survives"),
    ]
    if sampling.strange is not None:
        wrong.append((sampling.strange, "its log-probabilities are made of other logits than vLLM's mode says"))
    if off:
        wrong.append(((sampling.after != sampling.filtered).any(dim=1), "its logits are not plain vLLM's, though off"))
    found = [(first(rows), what) for rows, what in wrong if bool(rows.any())]
    if not found:
        return None
    row, what = min(found, key=lambda both: both[0])
    return {"row": row, "what": what}


def undo_greedy_sign(after: torch.Tensor | None, filtered: torch.Tensor, greedy: torch.Tensor) -> torch.Tensor | None:
    """What was drawn from; up to 0.10.2 vLLM divides a greedy row by -1 behind its argmax: undone here."""
    if after is None or after.shape != filtered.shape:
        return after
    turned = greedy & (after == -filtered).all(dim=1)
    return torch.where(turned.unsqueeze(1), filtered, after)


def first(rows: torch.Tensor) -> int:
    """The first row that is true."""
    return int(rows.nonzero()[0])
