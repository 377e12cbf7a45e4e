"""The intervention: logits of the model, moved away from what the distillers predict (Eq. 7 of the paper)."""

from typing import Callable, NamedTuple, Optional

import torch

# Rows are taken so many logits at a time: bounds the memory whatever the filters keep.
CHUNK_ELEMENTS = 1 << 25

# Given rows (a slice) of a step, the [rows, vocabulary] float32 logits of their predictions.
Readout = Callable[[slice], torch.Tensor]


class Moved(NamedTuple):
    """What an intervention did; 0-dimensional counts.

    Attributes:
        candidates: tokens that survived the filters, over the rows.
        changed: those of them whose logit changed.
        rows: rows that were intervened on; one whose prediction is no number is left as it is.
    """

    candidates: torch.Tensor
    changed: torch.Tensor
    rows: torch.Tensor


def intervene(
    logits: torch.Tensor,
    rows: torch.Tensor,
    temperature: Optional[torch.Tensor],
    beta: float,
    readout: Readout,
    chunk: Optional[int] = None,
) -> Moved:
    """Move the logits of some rows, in place.

    new = logit + beta * (logit - predicted), which is (1 + beta) * logit - beta * predicted, written so that beta = 0
    changes no bit. A token that was filtered, at minus infinity, stays there.

    Args:
        logits: ``[requests, vocabulary]`` after temperature and filters.
        rows: ``[decode rows]`` which of them to move.
        temperature: ``[requests]`` what the predictions' logits are divided by; None for nothing.
        beta: strength.
        readout: the predictions' logits.
        chunk: rows that are read out at once; None for as many as memory suggests.
    """
    counts = torch.zeros(3, dtype=torch.int64, device=logits.device)
    chunk = chunk or max(1, CHUNK_ELEMENTS // logits.shape[1])
    for start in range(0, rows.shape[0], chunk):
        part = slice(start, start + chunk)
        before = logits.index_select(0, rows[part])
        predicted = readout(part)
        if temperature is not None:
            predicted = predicted / temperature.index_select(0, rows[part]).unsqueeze(1)
        survivors = before.isfinite()
        sound = predicted.isfinite().all(1, keepdim=True)
        after = torch.where(survivors & sound, torch.add(before, before - predicted, alpha=beta), before)
        logits.index_copy_(0, rows[part], after)
        counts += torch.stack((survivors.sum(), (after != before).sum(), sound.sum()))
    return Moved(*counts)
