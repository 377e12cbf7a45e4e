"""Taps: copy the decode rows out of the forward pass.

vLLM's decoder blocks start with ``input_layernorm``, and a final ``norm`` stands behind the last one. Each is called
with (hidden, residual) and returns (normalised, residual sum); the first one is called with the embeddings alone and
returns them normalised. A tap wraps such a call, copies one of the two outputs, and hands them on untouched.
"""

from typing import Any, Callable, Optional

import torch
from torch import nn

from esamp.config import parse_place
from esamp.engine.rows import RowIndex

NORMALISED, STREAM = 0, 1


class Tap:
    """Gathers the rows that ``rows`` points at from one output of a norm, into ``buffer`` ``[capacity, hidden]``."""

    def __init__(self, norm: nn.Module, output: int, rows: RowIndex, hidden: int, dtype: torch.dtype) -> None:
        self.norm, self._output, self._rows = norm, output, rows
        self.buffer = torch.zeros(rows.capacity, hidden, dtype=dtype, device=rows.buffer.device)
        self.calls = 0
        self._replaced: Optional[Callable[..., Any]] = norm.__dict__.get("forward")
        self._forward: Callable[..., Any] = norm.forward
        norm.forward = self

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        output = self._forward(*inputs, **named)
        tapped = output[self._output] if isinstance(output, tuple) else output
        torch.index_select(tapped, 0, self._rows.buffer, out=self.buffer)
        self.calls += 1
        return output

    def take_calls(self) -> int:
        """How often the norm ran since this was asked last."""
        calls, self.calls = self.calls, 0
        return calls

    def captured(self, positions: torch.Tensor) -> torch.Tensor:
        """``[rows, hidden]`` what was copied for the decode rows, of which there are as many as ``positions``."""
        return self.buffer[: positions.shape[0]]

    def remove(self) -> None:
        """Give the norm its own forward back."""
        del self.norm.forward
        if self._replaced is not None:
            self.norm.forward = self._replaced


class HeadTap:
    """Keeps the hidden states that vLLM hands to ``compute_logits``, one row a request, without a copy.

    Only the first call of a step counts: prompt logprobs are computed by later ones.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self.rows: Optional[torch.Tensor] = None
        self.calls = 0
        self._replaced: Optional[Callable[..., Any]] = model.__dict__.get("compute_logits")
        self._compute: Callable[..., Any] = model.compute_logits
        model.compute_logits = self

    def __call__(self, hidden_states: torch.Tensor, *rest: Any, **named: Any) -> Any:
        if not self.calls:
            self.rows = hidden_states
        self.calls += 1
        return self._compute(hidden_states, *rest, **named)

    def begin_step(self) -> None:
        """The next call is the one that counts."""
        self.calls, self.rows = 0, None

    def take_calls(self) -> int:
        """How often it was called in this step."""
        return self.calls

    def captured(self, positions: torch.Tensor) -> torch.Tensor:
        """``[rows, hidden]`` those of the requests at ``positions`` of the batch."""
        return self.rows.index_select(0, positions)

    def remove(self) -> None:
        """Give the model its own method back."""
        del self._model.compute_logits
        if self._replaced is not None:
            self._model.compute_logits = self._replaced


def norm_at(model: nn.Module, name: str, place: str) -> nn.Module:
    """The norm whose call shows a place such as ``output:0``.

    Raises:
        RuntimeError: the model has no such place.
    """
    kind, number = parse_place(name, place)
    decoder = find_decoder(model)
    blocks = blocks_of(decoder)
    if not -len(blocks) <= number < len(blocks):
        raise RuntimeError(f"esamp: {name} is {place!r}, but {type(model).__name__} has {len(blocks)} blocks")
    at = number % len(blocks) + (kind == "output")  # a block's output is the sum that the norm behind it computes
    return decoder.norm if at == len(blocks) else blocks[at].input_layernorm


def output_at(name: str, place: str) -> int:
    """Which of that norm's two outputs it is."""
    return STREAM if parse_place(name, place)[0] == "output" else NORMALISED


def find_decoder(model: nn.Module) -> Any:
    """The part of a model that holds its ``layers``, blocks that start with a norm, and a ``norm`` behind them."""
    for module in model.modules():
        layers = getattr(module, "layers", None)
        if isinstance(layers, nn.ModuleList) and len(layers) > 1 and hasattr(module, "norm"):
            if hasattr(layers[0], "input_layernorm"):
                return module
    raise RuntimeError(
        f"esamp: {type(model).__name__} has no 'layers' list of two or more blocks with an 'input_layernorm' and a "
        "'norm' behind them; only decoder-only models of that form are supported"
    )


def blocks_of(decoder: Any) -> Any:
    """The decoder's blocks, in order."""
    return decoder.layers
