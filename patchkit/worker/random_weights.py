"""Random weights whose logits are peaked, as those of a trained model are: filters keep a few tokens of many."""

from typing import Any

import torch

HEAD = 10.0  # standard deviation of a logit, in nats
EMBEDDING = 0.02


def peak_logits(model: Any) -> None:
    """Give a model that vLLM loaded with ``load_format="dummy"`` such weights, in place, the same ones each time.

    Raises:
        RuntimeError: its output layer is not as it should be, so that nothing can be said of its logits.
    """
    inner, head = model.model, model.lm_head.weight
    if head.dim() != 2 or not head.numel():
        raise RuntimeError("the weights of lm_head were packed while loading, and cannot be set")
    generator = torch.Generator(head.device).manual_seed(0)
    with torch.inference_mode():
        head.normal_(0, HEAD / head.shape[1] ** 0.5, generator=generator)
        inner.norm.weight.fill_(1.0)
        inner.embed_tokens.weight.normal_(0, EMBEDDING, generator=generator)
