"""Source and target rows, read from the engine by the gates' own hooks on the tapped layers."""

from collections.abc import Callable
from typing import Any

import torch


class TapHook:
    """The rows of one tap in one step: a forward hook on the norm module that the tap names.

    ``output:K``: the residual stream after block K, which is the sum that the following norm computes.
    ``input_norm:K``: what block K's input norm returns. ``lm_head`` needs no hook: the sampler has its rows.
    """

    def __init__(self, model: Any, tap: str) -> None:
        kind, _, number = tap.partition(":")
        if kind not in ("output", "input_norm"):
            raise ValueError(f"the gates know no tap {tap!r}, only output:K and input_norm:K")
        self._kind = kind
        self._rows: Callable[[], list[int]] = list
        self._kept: torch.Tensor | None = None
        self._hook = find_norm(model, kind, int(number)).register_forward_hook(self._keep)

    def begin(self, rows: Callable[[], list[int]]) -> None:
        """A step begins; ``rows()`` returns packed row numbers of its decode rows, called during the forward pass."""
        self._rows, self._kept = rows, None

    def rows(self) -> torch.Tensor | None:
        """``[decode rows, hidden]`` of this step in the model's type; None if the layer was not reached."""
        return self._kept

    def remove(self) -> None:
        """Take the hook away."""
        self._hook.remove()

    def _keep(self, module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        tensor = stream_or_normalised(self._kind, inputs, output)
        # Indexing copies: later layers may write into the same memory.
        self._kept = tensor[torch.tensor(self._rows(), dtype=torch.int64, device=tensor.device)]


def stream_or_normalised(kind: str, inputs: tuple[Any, ...], output: Any) -> torch.Tensor:
    """What a tap of this kind shows, in a call of its norm."""
    if kind == "input_norm":
        return output[0] if isinstance(output, tuple) else output
    return output[1] if isinstance(output, tuple) else inputs[0]  # without a residual its input is the stream itself


def find_norm(model: Any, kind: str, number: int) -> Any:
    """The norm module that a tap names; ``number`` counts blocks, from the end if it is negative."""
    name, blocks = find_blocks(model)
    if not -len(blocks) <= number < len(blocks):
        raise ValueError(f"{type(model).__name__} has {len(blocks)} blocks, there is no {kind}:{number}")
    number %= len(blocks)
    if kind == "input_norm":
        return blocks[number].input_layernorm
    if number + 1 < len(blocks):
        return blocks[number + 1].input_layernorm
    return model.get_submodule(name.removesuffix("layers") + "norm")


def find_blocks(model: Any) -> tuple[str, Any]:
    """The decoder's blocks and their name in the model, found without the runtime's help."""
    for name, module in model.named_modules():
        if name.endswith("layers") and len(module) and hasattr(module[0], "input_layernorm"):
            return name, module
    raise ValueError(f"{type(model).__name__} has no decoder blocks with an input_layernorm")
