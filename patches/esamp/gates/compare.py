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

    Each number is measured by its own size plus the typical (median) one of its row, so that the few enormous numbers
    that a residual stream has hide nothing. Where both are the same infinity, or no number, they are equal; where only
    one is, the difference is infinite.
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
    """``[rows]``: the largest difference of a logit by ``size`` ``[rows]``; infinite where other tokens survive."""
    difference = (found - expected).abs() / size.clamp_min(1e-30).unsqueeze(1)
    return finite_or_infinite(difference, found == expected).amax(1)


def finite_or_infinite(difference: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
    """0 where two numbers are the same, and infinite where their difference is no number."""
    return torch.where(same, 0.0, difference.nan_to_num(float("inf"), posinf=float("inf")))


def relative_distance(found: torch.Tensor, expected: torch.Tensor, start: torch.Tensor) -> float:
    """How far ``found`` is from ``expected``, by the way from ``start`` to ``expected``; all flat, of one size.

    By the lengths of the whole: an optimiser that divides by the root of the squares makes a step of full size out of a
    gradient that is nothing but rounding, so that single numbers may differ by anything.
    """
    if found.shape != expected.shape:
        return float("inf")
    # In float64, as the squares of weights that have run away find no room in float32.
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
    """Rounded for the way to the invariants."""
    return float(f"{value:.{digits}g}")
