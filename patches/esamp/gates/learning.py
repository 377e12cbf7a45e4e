"""Has it learnt? Measures that a constant, a scale, a shift or a copy of the source cannot satisfy.

All of them are held against something simple on the same rows: an untrained copy with the same first weights, the
running mean of the target rows seen before, or the source row itself.
"""

from dataclasses import dataclass, field

import torch

# Where a target's number has never changed, its deviation is 0; whatever it is divided by then, it decides nothing.
SMALLEST_DEVIATION = 1e-6
STEPS_A_BIN = 16
CURVE_BINS = 64


class Running:
    """Mean and deviation of the rows seen so far, each number by itself, in float64."""

    def __init__(self) -> None:
        self.count = 0
        self._mean: torch.Tensor | None = None
        self._squares: torch.Tensor | None = None

    def add(self, rows: torch.Tensor) -> None:
        """Take in ``[rows, hidden]``; rows with a number that is not finite are ignored."""
        rows = rows.double()
        rows = rows[torch.isfinite(rows).all(1)]
        if not len(rows):
            return
        if self._mean is None or self._squares is None:
            self._mean, self._squares = torch.zeros_like(rows[0]), torch.zeros_like(rows[0])
        # Chan's formula: two sets of rows, each with its own mean and sum of squares, become one.
        mean, total = rows.mean(0), self.count + len(rows)
        shift = mean - self._mean
        self._squares += (rows - mean).square().sum(0) + shift.square() * (self.count * len(rows) / total)
        self._mean = self._mean + shift * (len(rows) / total)
        self.count = total

    def error(self, rows: torch.Tensor) -> float | None:
        """Mean squared error of predicting each of ``[rows, hidden]`` by the mean; None before the first row."""
        return None if self._mean is None else (rows.double() - self._mean).square().mean().item()

    def deviation(self) -> torch.Tensor:
        """``[hidden]`` deviations, none below ``SMALLEST_DEVIATION``."""
        if self._squares is None:
            raise ValueError("no row has been seen")
        return (self._squares / self.count).sqrt().clamp_min(SMALLEST_DEVIATION)


def matched_pairs(predicted: torch.Tensor, target: torch.Tensor, deviation: torch.Tensor) -> tuple[float, int]:
    """Of the pairs of rows with different targets: in how many do the predictions belong to their own rows?

    A pair matches if its two predictions are nearer to their own targets than if they were swapped: by the sum of the
    squared distances, which comes down to whether the predictions differ in the direction in which the targets do.
    So neither a shift nor a positive scale of the predictions changes anything, and a prediction that is the same for
    every row, or knows nothing of its row, matches half of them. Distances are between ``[rows, hidden]`` divided by
    ``deviation`` ``[hidden]``; a draw counts as half. Returns the pairs that match, and all.
    """
    predicted, target = predicted.double() / deviation, target.double() / deviation
    likeness = predicted @ target.T
    own = likeness.diagonal()
    kept = own.unsqueeze(0) + own.unsqueeze(1) - likeness - likeness.T
    differ = (target.unsqueeze(1) != target.unsqueeze(0)).any(2).triu(1)
    # What rounding leaves of a draw: predictions that are the same cancel out only so far.
    size = torch.finfo(torch.float64).eps * 8 * (own.abs().unsqueeze(0) + own.abs().unsqueeze(1) + likeness.abs() * 2)
    won = torch.where(kept > size, 1.0, torch.where(kept < -size, 0.0, 0.5))
    return won[differ].sum().item(), int(differ.sum())


@dataclass
class Bin:
    """Sums over ``STEPS_A_BIN`` steps of one prompt."""

    steps: int = 0
    rows: int = 0
    error: float = 0.0
    untrained_error: float = 0.0
    mean_error: float = 0.0
    won: float = 0.0
    untrained_won: float = 0.0
    pairs: int = 0

    def as_list(self) -> list[float]:
        """In the order of the fields, rounded for JSON."""
        sums = (self.error, self.untrained_error, self.mean_error, self.won, self.untrained_won)
        return [self.steps, self.rows, *(float(f"{value:.6g}") for value in sums), self.pairs]


@dataclass
class Progress:
    """How one prompt's distiller learns, against an untrained copy on the same rows."""

    targets: Running = field(default_factory=Running)
    bins: list[Bin] = field(default_factory=list)
    steps: int = 0

    def take(self, predicted: torch.Tensor, untrained: torch.Tensor, target: torch.Tensor) -> float | None:
        """One step's ``[rows, hidden]``; returns the error of the running mean of the targets of steps before."""
        mean_error = self.targets.error(target)
        self.targets.add(target)
        if self.steps % STEPS_A_BIN == 0:
            self.bins.append(Bin())
        self.steps += 1
        if not (torch.isfinite(target).all() and torch.isfinite(predicted).all()):
            return mean_error
        last = self.bins[-1]
        last.steps += 1
        last.rows += len(target)
        last.error += (predicted - target).double().square().mean(1).sum().item()
        last.untrained_error += (untrained - target).double().square().mean(1).sum().item()
        last.mean_error += (mean_error or 0.0) * len(target)
        if len(target) > 1:
            deviation = self.targets.deviation()
            won, pairs = matched_pairs(predicted, target, deviation)
            last.won += won
            last.untrained_won += matched_pairs(untrained, target, deviation)[0]
            last.pairs += pairs
        return mean_error


class Curve:
    """The error against the running mean's, by how many rows a prompt's distiller had been trained on."""

    def __init__(self, rows_a_bin: int = 64) -> None:
        self._rows_a_bin = rows_a_bin
        self._error: list[float] = []
        self._mean_error: list[float] = []

    def add(self, trained_on: int, rows: int, error: float, mean_error: float) -> None:
        """``rows`` rows at once, with their mean errors, of a distiller trained on ``trained_on`` rows so far."""
        place = trained_on // self._rows_a_bin
        if place >= CURVE_BINS:
            self._halve(place)
            place = trained_on // self._rows_a_bin
        missing = place + 1 - len(self._error)
        self._error += [0.0] * missing
        self._mean_error += [0.0] * missing
        self._error[place] += error * rows
        self._mean_error[place] += mean_error * rows

    def rows_to_learn(self) -> int | None:
        """After how many rows a prompt the error stayed below the running mean's; None if it does not at the end."""
        learnt_from = None
        for place in reversed(range(len(self._error))):
            if self._mean_error[place] and self._error[place] >= self._mean_error[place]:
                break
            if self._mean_error[place]:
                learnt_from = place
        return None if learnt_from is None else learnt_from * self._rows_a_bin

    def _halve(self, place: int) -> None:
        """Make every bin twice as wide until ``place`` is below ``CURVE_BINS``."""
        while place >= CURVE_BINS:
            for sums in (self._error, self._mean_error):
                padded = sums + [0.0] * (len(sums) % 2)
                sums[:] = [padded[at] + padded[at + 1] for at in range(0, len(padded), 2)]
            self._rows_a_bin *= 2
            place //= 2


def explained(error: float, mean_error: float) -> float | None:
    """Explained variance against the running mean: 1 is perfect, 0 no better than the mean, below 0 worse."""
    return 1 - error / mean_error if mean_error > 0 else None
