"""Run inside an environment: the distiller's written-out gradients and Adam against torch's own.

Usage: ``python distiller_against_torch.py DISTILLER.py``; says nothing and exits with 0 if they agree.
"""

import importlib.util
import sys

import torch

# Loaded by its path: importing the package would import vLLM, and the distiller needs none of it.
spec = importlib.util.spec_from_file_location("distiller", sys.argv[1])
distiller = importlib.util.module_from_spec(spec)
spec.loader.exec_module(distiller)

SLOTS, ROWS, HIDDEN, RANK, RATE = 3, 5, 12, 4, 1e-2


class Autograd(torch.nn.Module):
    """The formula of the paper, one slot, with torch's layer norm: y = LN(x + ((x A) * silu(x G + g)) B)."""

    def __init__(self, parameters, slot: int) -> None:
        super().__init__()
        self.values = torch.nn.ParameterList(value[slot].clone() for value in parameters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        down, gate, up, bias, scale, shift = self.values
        y = x + ((x @ down) * torch.nn.functional.silu(x @ gate + bias)) @ up
        return torch.nn.functional.layer_norm(y, (HIDDEN,), scale[0], shift[0], distiller.NORM_EPSILON)


def train_ours(flat: torch.Tensor, x: torch.Tensor, y: torch.Tensor, weights: torch.Tensor, steps: int) -> None:
    gradient, mean, square = (torch.zeros_like(flat) for _ in range(3))
    counted = torch.zeros(SLOTS, 1, dtype=flat.dtype)
    active = (weights.sum(1) > 0).to(flat.dtype)
    parameters = distiller.view_parameters(flat, HIDDEN, RANK)
    for _ in range(steps):
        seen = distiller.forward(parameters, x)
        error = (seen.outputs - y) * (weights * (2.0 / HIDDEN))
        distiller.backward(parameters, seen, error, into=distiller.view_parameters(gradient, HIDDEN, RANK))
        distiller.adam_step(flat, gradient, mean, square, counted, active, RATE)


def train_torch(model: Autograd, x: torch.Tensor, y: torch.Tensor, steps: int) -> None:
    adam = torch.optim.Adam(model.parameters(), lr=RATE)
    for _ in range(steps):
        adam.zero_grad()
        torch.nn.functional.mse_loss(model(x), y).backward()
        adam.step()


def main() -> None:
    torch.manual_seed(0)
    flat = torch.randn(SLOTS, distiller.parameter_width(HIDDEN, RANK), dtype=torch.float64) * 0.3
    x, y = torch.randn(2, SLOTS, ROWS, HIDDEN, dtype=torch.float64)
    rows = [5, 2, 0]  # a full slot, one with room to spare, one without a row
    weights = torch.zeros(SLOTS, ROWS, 1, dtype=torch.float64)
    models = [Autograd(distiller.view_parameters(flat, HIDDEN, RANK), slot) for slot in range(SLOTS)]
    for slot, count in enumerate(rows):
        weights[slot, :count] = 1 / max(count, 1)
        x[slot, count:], y[slot, count:] = 0, 0
    untouched = flat[2].clone()

    train_ours(flat, x, y, weights, steps=7)

    for slot, count in enumerate(rows[:2]):
        train_torch(models[slot], x[slot, :count], y[slot, :count], steps=7)
        ours = distiller.view_parameters(flat, HIDDEN, RANK)
        for expected, found in zip(models[slot].values, ours, strict=True):
            torch.testing.assert_close(found[slot], expected.detach(), rtol=1e-9, atol=1e-11)
    assert torch.equal(flat[2], untouched), "a slot without rows was trained"

    first = distiller.first_parameters(HIDDEN, RANK, seed=0)[None]
    seen = distiller.forward(distiller.view_parameters(first, HIDDEN, RANK), x[:1].float())
    expected = torch.nn.functional.layer_norm(x[:1].float(), (HIDDEN,), eps=distiller.NORM_EPSILON)
    torch.testing.assert_close(seen.outputs, expected)


main()
