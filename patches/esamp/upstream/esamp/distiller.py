"""The distiller, for all slots at once: y = LN(x + ((x A) * silu(x G + g)) B), trained online on mean squared error.

vLLM runs the model in inference mode, where autograd records nothing, so the gradients are written out. The parameters
of a slot are one row of a matrix, which makes Adam a handful of elementwise kernels whatever the number of slots.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F

NORM_EPSILON = 1e-5
ADAM_MEAN_DECAY = 0.9
ADAM_SQUARE_DECAY = 0.999
ADAM_EPSILON = 1e-8


class Parameters(NamedTuple):
    """Views of a ``[slots, width]`` matrix, one row a slot."""

    down: torch.Tensor  # A: [slots, hidden, rank]
    gate: torch.Tensor  # G: [slots, hidden, rank]
    up: torch.Tensor  # B: [slots, rank, hidden]
    gate_bias: torch.Tensor  # g: [slots, 1, rank]
    scale: torch.Tensor  # of the layer norm: [slots, 1, hidden]
    shift: torch.Tensor  # of the layer norm: [slots, 1, hidden]


class Activations(NamedTuple):
    """What the backward pass needs of a forward pass; ``[slots, rows, ...]``."""

    inputs: torch.Tensor
    lowered: torch.Tensor
    gate_input: torch.Tensor
    gated: torch.Tensor
    normalised: torch.Tensor
    inverse_deviation: torch.Tensor
    outputs: torch.Tensor


def parameter_shapes(hidden: int, rank: int) -> list[tuple[int, int]]:
    return [(hidden, rank), (hidden, rank), (rank, hidden), (1, rank), (1, hidden), (1, hidden)]


def parameter_width(hidden: int, rank: int) -> int:
    """Numbers in one distiller."""
    return sum(rows * columns for rows, columns in parameter_shapes(hidden, rank))


def view_parameters(flat: torch.Tensor, hidden: int, rank: int) -> Parameters:
    """See ``[slots, width]`` as the distillers' parameters, without a copy."""
    shapes = parameter_shapes(hidden, rank)
    parts = flat.split([rows * columns for rows, columns in shapes], dim=1)
    return Parameters(*(part.unflatten(1, shape) for part, shape in zip(parts, shapes)))


def first_parameters(hidden: int, rank: int, seed: int) -> torch.Tensor:
    """``[width]`` weights that every slot starts from: random projections down, none up, so that y = LN(x) at first."""
    flat = torch.zeros(1, parameter_width(hidden, rank))
    parameters = view_parameters(flat, hidden, rank)
    # A generator of its own: the engine's random numbers must not depend on whether this runtime is installed.
    generator = torch.Generator().manual_seed(seed)
    parameters.down.normal_(0.0, hidden**-0.5, generator=generator)
    parameters.gate.normal_(0.0, hidden**-0.5, generator=generator)
    parameters.scale.fill_(1.0)
    return flat[0]


def forward(parameters: Parameters, inputs: torch.Tensor) -> Activations:
    """Predict the deep rows of ``[slots, rows, hidden]`` shallow ones."""
    lowered = torch.bmm(inputs, parameters.down)
    gate_input = torch.baddbmm(parameters.gate_bias, inputs, parameters.gate)
    gated = lowered * F.silu(gate_input)
    summed = torch.baddbmm(inputs, gated, parameters.up)
    variance, mean = torch.var_mean(summed, dim=-1, correction=0, keepdim=True)
    inverse_deviation = torch.rsqrt(variance + NORM_EPSILON)
    normalised = (summed - mean) * inverse_deviation
    outputs = torch.addcmul(parameters.shift, normalised, parameters.scale)
    return Activations(inputs, lowered, gate_input, gated, normalised, inverse_deviation, outputs)


def backward(parameters: Parameters, seen: Activations, error: torch.Tensor, into: Parameters) -> None:
    """Write the gradients of a loss into ``into``; ``error``: ``[slots, rows, hidden]`` gradient at the outputs."""
    torch.sum(error * seen.normalised, dim=1, keepdim=True, out=into.scale)
    torch.sum(error, dim=1, keepdim=True, out=into.shift)

    error = error * parameters.scale
    centred = error - error.mean(-1, keepdim=True)
    error = (centred - seen.normalised * (error * seen.normalised).mean(-1, keepdim=True)) * seen.inverse_deviation
    into.up.copy_(torch.bmm(seen.gated.transpose(1, 2), error))

    error = torch.bmm(error, parameters.up.transpose(1, 2))
    into.down.copy_(torch.bmm(seen.inputs.transpose(1, 2), error * F.silu(seen.gate_input)))
    sigmoid = torch.sigmoid(seen.gate_input)
    error = error * seen.lowered * sigmoid * (1 + seen.gate_input * (1 - sigmoid))
    into.gate.copy_(torch.bmm(seen.inputs.transpose(1, 2), error))
    torch.sum(error, dim=1, keepdim=True, out=into.gate_bias)


def adam_step(
    flat: torch.Tensor,
    gradient: torch.Tensor,
    mean: torch.Tensor,
    square: torch.Tensor,
    steps: torch.Tensor,
    active: torch.Tensor,
    learning_rate: float,
) -> None:
    """One step of Adam (arXiv 1412.6980) in place on ``[slots, width]``, for the slots where ``active`` is 1, not 0.

    ``steps`` and ``active`` are ``[slots, 1]``: every slot counts its own steps, an inactive one stays as it is.
    """
    steps += active
    mean += (gradient - mean) * (active * (1 - ADAM_MEAN_DECAY))
    square += (gradient * gradient - square) * (active * (1 - ADAM_SQUARE_DECAY))
    counted = steps.clamp_min(1)
    unbiased_mean = mean / (1 - ADAM_MEAN_DECAY**counted)
    unbiased_square = square / (1 - ADAM_SQUARE_DECAY**counted)
    flat -= unbiased_mean / (unbiased_square.sqrt() + ADAM_EPSILON) * (active * learning_rate)
