"""Which rows of a step each distiller sees, laid out so that all of them work at once."""

from typing import NamedTuple

import numpy as np
import torch


class Grouping(NamedTuple):
    """Where each row of a step sits among its distiller's rows.

    Attributes:
        slots: distillers ``0 .. slots-1`` take part; one without rows in this step is among them and stays as it is.
        rows: rows of the distiller that sees most.
        taken: ``[seen]`` rows of the step that the distillers see.
        places: ``[seen]`` place of each of them in a ``[slots * rows]`` layout.
        serving: ``[step rows]`` place whose prediction serves each row of the step.
        weights: ``[slots, rows, 1]``: 1 / (rows of the distiller) where there is a row, else 0.
        active: ``[slots, 1]``: 1 for a distiller that has rows, else 0.
    """

    slots: int
    rows: int
    taken: torch.Tensor
    places: torch.Tensor
    serving: torch.Tensor
    weights: torch.Tensor
    active: torch.Tensor


def group(slots: np.ndarray, prompts: np.ndarray, first_only: bool, device: torch.device) -> Grouping:
    """Lay the rows of a step out by distiller.

    Args:
        slots: ``[step rows]`` the distiller of each row.
        prompts: ``[step rows]`` the prompt of each row.
        first_only: a distiller sees the first row of each prompt alone.
        device: where the layout is needed.
    """
    _, first, serving = np.unique(prompts, return_index=True, return_inverse=True)
    if first_only:
        taken = first
    else:
        taken = serving = np.arange(len(slots))
    taken_slots = slots[taken]
    counts = np.bincount(taken_slots)
    rows = int(counts.max())
    order = np.argsort(taken_slots, kind="stable")
    ranks = np.empty(len(taken), dtype=np.int64)
    ranks[order] = np.arange(len(taken)) - np.repeat(np.cumsum(counts) - counts, counts)
    places = taken_slots * rows + ranks
    weights = np.zeros(len(counts) * rows, dtype=np.float32)
    weights[places] = 1.0 / counts[taken_slots]
    return Grouping(
        len(counts),
        rows,
        to_device(taken, device),
        to_device(places, device),
        to_device(places[serving], device),
        to_device(weights, device).view(len(counts), rows, 1),
        to_device((counts > 0).astype(np.float32), device).view(-1, 1),
    )


def to_device(values: np.ndarray, device: torch.device) -> torch.Tensor:
    """Copy a small host array to the device without waiting for it."""
    host = torch.from_numpy(np.ascontiguousarray(values))
    if device.type != "cuda":
        return host
    return host.pin_memory().to(device, non_blocking=True)
