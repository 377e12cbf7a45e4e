"""The distiller's network, for many distillers at once: residual gated blocks, forward and backward written out.

A block is x + (silu(x G + g) * (x U)) D, as in the paper (appendix E.2). vLLM runs the model in inference mode, where
autograd records nothing, so the gradients are written out. The parameters of a distiller are one row of a matrix, which
makes an optimiser a handful of elementwise kernels whatever the number of distillers.
"""

from dataclasses import dataclass
from typing import NamedTuple, Optional

import torch
import torch.nn.functional as F

NORM_EPSILON = 1e-5
ROOT_EPSILON = 1e-6


class Block(NamedTuple):
    """One block's parameters, or their gradients."""

    gate: torch.Tensor  # G: [distillers, hidden, width]
    up: torch.Tensor  # U: [distillers, hidden, width]
    down: torch.Tensor  # D: [distillers, width, hidden]
    bias: Optional[torch.Tensor]  # g: [distillers, 1, width]


class Parameters(NamedTuple):
    """Views of a ``[distillers, size]`` matrix, one row a distiller."""

    blocks: list[Block]
    scale: Optional[torch.Tensor]  # of the output norm: [distillers, 1, hidden]
    shift: Optional[torch.Tensor]  # of the output norm: [distillers, 1, hidden]


class BlockSeen(NamedTuple):
    """What the backward pass needs of one block; ``[distillers, rows, ...]``."""

    inputs: torch.Tensor
    gate_input: torch.Tensor
    raised: torch.Tensor
    gated: torch.Tensor


class Seen(NamedTuple):
    """What the backward pass needs of a forward pass."""

    blocks: list[BlockSeen]
    normalised: Optional[torch.Tensor]
    inverse_deviation: Optional[torch.Tensor]
    outputs: torch.Tensor


@dataclass(frozen=True)
class Network:
    """The form of a distiller.

    Attributes:
        hidden: size of what goes in and comes out.
        blocks, width: residual gated blocks, and their inner width.
        normalise: what goes in is divided by its root mean square.
        bias: each gate has a bias.
        norm: a layer norm behind the last block.
    """

    hidden: int
    blocks: int
    width: int
    normalise: bool
    bias: bool
    norm: bool

    def shapes(self) -> list[tuple[int, int]]:
        """Of each parameter, in the order in which they lie in a row of the matrix."""
        block = [(self.hidden, self.width), (self.hidden, self.width), (self.width, self.hidden)]
        block += [(1, self.width)] if self.bias else []
        return block * self.blocks + [(1, self.hidden)] * (2 if self.norm else 0)

    @property
    def size(self) -> int:
        """Numbers in one distiller."""
        return sum(rows * columns for rows, columns in self.shapes())

    def view(self, flat: torch.Tensor) -> Parameters:
        """See ``[distillers, size]`` as parameters, without a copy."""
        shapes = self.shapes()
        parts = flat.split([rows * columns for rows, columns in shapes], dim=1)
        views = [part.unflatten(1, shape) for part, shape in zip(parts, shapes)]
        norm = (views.pop(-2), views.pop(-1)) if self.norm else (None, None)
        each = len(views) // self.blocks
        blocks = [views[start : start + each] for start in range(0, len(views), each)]
        return Parameters([Block(*block[:3], block[3] if self.bias else None) for block in blocks], *norm)

    def prepare(self, source: torch.Tensor) -> torch.Tensor:
        """``[rows, hidden]`` float32, as the first block gets it."""
        rows = source.float()
        if not self.normalise:
            return rows
        return rows * torch.rsqrt(rows.square().mean(-1, keepdim=True) + ROOT_EPSILON)

    def first(self, seed: int, deviation: Optional[float], zero_down: bool, bias: float) -> torch.Tensor:
        """``[size]`` weights that every distiller starts from, float32 on the CPU.

        Args:
            seed: of a generator of their own: the engine's random numbers must not depend on this runtime.
            deviation: standard deviation of the weights; None for 1/sqrt(inputs) of each matrix.
            zero_down: the projections down are zero, so that a distiller predicts its source at first.
            bias: value of the gates' biases.
        """
        flat = torch.zeros(1, self.size)
        parameters = self.view(flat)
        generator = torch.Generator().manual_seed(seed)
        for block in parameters.blocks:
            for weights in (block.gate, block.up, *(() if zero_down else (block.down,))):
                spread = deviation or weights.shape[1] ** -0.5
                weights.copy_(torch.empty(weights.shape[1:]).normal_(0.0, spread, generator=generator))
            if block.bias is not None:
                block.bias.fill_(bias)
        if parameters.scale is not None:
            parameters.scale.fill_(1.0)
        return flat[0]


def forward(parameters: Parameters, inputs: torch.Tensor) -> Seen:
    """Predict ``[distillers, rows, hidden]`` targets from sources of the same shape."""
    blocks, x = [], inputs
    for block in parameters.blocks:
        gate_input = torch.bmm(x, block.gate)
        if block.bias is not None:
            gate_input += block.bias
        raised = torch.bmm(x, block.up)
        gated = F.silu(gate_input) * raised
        blocks.append(BlockSeen(x, gate_input, raised, gated))
        x = torch.baddbmm(x, gated, block.down)
    if parameters.scale is None:
        return Seen(blocks, None, None, x)
    variance, mean = torch.var_mean(x, dim=-1, correction=0, keepdim=True)
    inverse_deviation = torch.rsqrt(variance + NORM_EPSILON)
    normalised = (x - mean) * inverse_deviation
    return Seen(blocks, normalised, inverse_deviation, torch.addcmul(parameters.shift, normalised, parameters.scale))


def backward(parameters: Parameters, seen: Seen, error: torch.Tensor, into: Parameters) -> None:
    """Write a loss's gradients into ``into``; ``error``: ``[distillers, rows, hidden]`` gradient at the outputs."""
    if parameters.scale is not None:
        torch.sum(error * seen.normalised, dim=1, keepdim=True, out=into.scale)
        torch.sum(error, dim=1, keepdim=True, out=into.shift)
        error = error * parameters.scale
        centred = error - error.mean(-1, keepdim=True)
        error = (centred - seen.normalised * (error * seen.normalised).mean(-1, keepdim=True)) * seen.inverse_deviation
    for number in reversed(range(len(parameters.blocks))):
        error = _backward_block(parameters.blocks[number], seen.blocks[number], error, into.blocks[number], number > 0)


def _backward_block(block: Block, seen: BlockSeen, error: torch.Tensor, into: Block, on: bool) -> torch.Tensor:
    """One block's gradients; returns the gradient at its inputs if there is a block before it (``on``)."""
    torch.bmm(seen.gated.transpose(1, 2), error, out=into.down)
    inner = torch.bmm(error, block.down.transpose(1, 2))
    sigmoid = torch.sigmoid(seen.gate_input)
    silu = seen.gate_input * sigmoid
    gate_error = inner * seen.raised * (sigmoid + silu * (1 - sigmoid))
    up_error = inner * silu
    inputs = seen.inputs.transpose(1, 2)
    torch.bmm(inputs, gate_error, out=into.gate)
    torch.bmm(inputs, up_error, out=into.up)
    if into.bias is not None:
        torch.sum(gate_error, dim=1, keepdim=True, out=into.bias)
    if not on:
        return error
    error = torch.baddbmm(error, gate_error, block.gate.transpose(1, 2))
    return error.baddbmm_(up_error, block.up.transpose(1, 2))
