"""The optimisers, in place on many distillers at once; a gradient serves as the scratch space of its own step.

All take ``[distillers, size]`` matrices and ``active``, ``[distillers, 1]``: 1 for a distiller that trains in this
step, 0 for one that must stay as it is. Each distiller counts its own steps.
"""

from dataclasses import dataclass
from typing import Optional

import torch

MEAN_DECAY = 0.9
SQUARE_DECAY = 0.999
# As torch.nn.utils.clip_grad_norm_ has it: keeps the division away from zero.
CLIP_EPSILON = 1e-6


@dataclass(frozen=True)
class Optimiser:
    """Adam (arXiv 1412.6980), AdamW (arXiv 1711.05101) or plain SGD, each after a clip of the gradient's norm."""

    name: str
    learning_rate: float
    epsilon: float
    weight_decay: float
    clip: Optional[float]

    @property
    def moments(self) -> int:
        """Numbers that it keeps for each parameter."""
        return 0 if self.name == "sgd" else 2

    def step(
        self,
        weights: torch.Tensor,
        gradient: torch.Tensor,
        moments: list[torch.Tensor],
        steps: torch.Tensor,
        active: torch.Tensor,
    ) -> None:
        """One step; overwrites ``gradient``, and allocates nothing of its size.

        Args:
            weights: ``[distillers, size]``.
            gradient: the same shape.
            moments: running mean and square of the gradient, the same shape; none for SGD.
            steps: ``[distillers, 1]`` steps that each has made before.
            active: ``[distillers, 1]``.
        """
        norm = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
        active = active * norm.isfinite()  # one number that is none would spoil the distiller for good
        factor = active if self.clip is None else active * (self.clip / (norm + CLIP_EPSILON)).clamp(max=1.0)
        gradient.mul_(factor).nan_to_num_(0.0, 0.0, 0.0)
        steps += active
        if self.name == "adamw":
            weights.mul_(1 - active * (self.learning_rate * self.weight_decay))
        if self.name == "sgd":
            weights.sub_(gradient.mul_(active * self.learning_rate))
        else:
            self._adam(weights, gradient, moments, steps, active)

    def _adam(
        self,
        weights: torch.Tensor,
        gradient: torch.Tensor,
        moments: list[torch.Tensor],
        steps: torch.Tensor,
        active: torch.Tensor,
    ) -> None:
        mean, square = moments
        mean.lerp_(gradient, active * (1 - MEAN_DECAY))
        square.lerp_(gradient.square_(), active * (1 - SQUARE_DECAY))
        counted = steps.clamp_min(1)
        torch.sqrt(square, out=gradient)
        gradient.mul_((1 - SQUARE_DECAY**counted).rsqrt()).add_(self.epsilon)
        torch.div(mean, gradient, out=gradient)
        weights.sub_(gradient.mul_(active * self.learning_rate / (1 - MEAN_DECAY**counted)))
