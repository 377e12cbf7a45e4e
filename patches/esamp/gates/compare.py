"""Distances between tensors that should be equal, and the tolerances for them."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Tolerances:
    """The largest difference of each quantity that rounding explains: see the three functions below."""

    predicted: float
    losses: float
    logits: float
    state: float


def row_differences(found: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """``[rows]``: for each row of two ``[rows, n]``, the root mean square of its numbers' differences.

    Each number is divided by its own size plus the median size of its row, so that the few enormous numbers of a
    residual stream hide nothing. The same infinity on both sides, or NaN on both, is equal; on one side only, the
    difference is infinite.
    """
    if found.shape != expected.shape:
        raise ValueError(f"{list(found.shape)} cannot be compared with {list(expected.shape)}")
    if not expected.numel():
        return expected.new_zeros(expected.shape[0], dtype=torch.float32)
    found, expected = found.float(), expected.float()
    size = expected.abs() + expected.abs().median(dim=1, keepdim=True).values
    difference = (found - expected).abs() / size.clamp_min(1e-30)
    same = (found == expected) | (found.isnan() & expected.isnan())
    return finite_or_infinite(difference, same).square().mean(1).sqrt()


def logit_differences(found: torch.Tensor, expected: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """``[rows]``: the largest difference of a logit, by ``size`` ``[rows]``; infinite where other tokens survive."""
    difference = (found - expected).abs() / size.clamp_min(1e-30).unsqueeze(1)
    return finite_or_infinite(difference, found == expected).amax(1)


def finite_or_infinite(difference: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
    """The difference with 0 where two numbers are the same, and infinity where it is NaN."""
    return torch.where(same, 0.0, difference.nan_to_num(float("inf"), posinf=float("inf")))


def relative_distance(found: torch.Tensor, expected: torch.Tensor, start: torch.Tensor) -> float:
    """Distance of ``found`` from ``expected``, relative to that of ``start`` from ``expected``; all flat, of one size.

    Norms of the whole vectors: an optimiser that divides by the root of the squares makes a full step out of a gradient
    that is only rounding, so that single numbers may differ by any amount.
    """
    if found.shape != expected.shape:
        return float("inf")
    # In float64: the squares of diverged weights overflow float32.
    found, expected, start = found.double(), expected.double(), start.double()
    same = (found == expected) | (found.isnan() & expected.isnan())
    if same.all():
        return 0.0
    finite = expected.isfinite()
    difference = torch.where(same, 0.0, found - expected).norm().item()
    way = torch.where(finite, expected - start, 0.0).norm().item()
    share = difference / way if way else float("inf")
    return share if share == share else float("inf")


def number(value: float, digits: int = 4) -> float:
    """Rounded to significant ``digits``, for JSON."""
    return float(f"{value:.{digits}g}")
