"""Taps: copy the decode rows out of the residual stream at a shallow and at a deep block.

vLLM's decoder blocks start with ``input_layernorm``: the first one is called with the embeddings alone, later ones with
(hidden, residual) and return (normalised, residual sum). A tap wraps that call, reads the residual stream as it enters
the block, and hands the output on untouched.
"""

from typing import Any, Callable, Optional

import torch
from torch import nn

from esamp.rows import RowIndex


class Tap:
    """Gathers the rows that ``rows`` points at from one block's input, into ``buffer`` ``[capacity, hidden]``."""

    def __init__(self, norm: nn.Module, rows: RowIndex, hidden: int, dtype: torch.dtype) -> None:
        self.norm, self.rows = norm, rows
        self.buffer = torch.zeros(rows.capacity, hidden, dtype=dtype, device=rows.buffer.device)
        self.calls = 0
        self._replaced: Optional[Callable[..., Any]] = norm.__dict__.get("forward")
        self._forward: Callable[..., Any] = norm.forward
        norm.forward = self

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        output = self._forward(*inputs, **named)
        residual = output[1] if isinstance(output, tuple) else (inputs[0] if inputs else named["x"])
        torch.index_select(residual, 0, self.rows.buffer, out=self.buffer)
        self.calls += 1
        return output

    def take_calls(self) -> int:
        """How often the block ran since this was asked last."""
        calls, self.calls = self.calls, 0
        return calls

    def remove(self) -> None:
        """Give the block its own forward back."""
        del self.norm.forward
        if self._replaced is not None:
            self.norm.forward = self._replaced


def find_blocks(model: nn.Module) -> nn.ModuleList:
    """The list of decoder blocks of a decoder-only model: the first ``layers`` whose blocks have an input norm."""
    for module in model.modules():
        layers = getattr(module, "layers", None)
        if isinstance(layers, nn.ModuleList) and len(layers) > 1 and hasattr(layers[0], "input_layernorm"):
            return layers
    raise RuntimeError(
        f"esamp: {type(model).__name__} has no 'layers' list of two or more blocks with an 'input_layernorm'; "
        "only decoder-only models of that form are supported"
    )
