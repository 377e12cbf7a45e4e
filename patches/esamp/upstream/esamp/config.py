"""Settings of the runtime."""

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Config:
    """Settings, with the paper's defaults.

    Attributes:
        beta: strength of the intervention; 0 leaves every distribution as it is.
        rank: width of the distiller's bottleneck.
        learning_rate: of Adam, one step a decode step.
        model_bank_slots: prompts that can be decoded at the same time, a distiller each.
        capture_rows: decode rows a step can have; the engine's ``max_num_seqs`` where None.
        shallow_layer, deep_layer: the blocks whose input is tapped; negative counts from the end.
        seed: of the distillers' first weights.
    """

    beta: float = 0.8
    rank: int = 64
    learning_rate: float = 1e-3
    model_bank_slots: int = 64
    capture_rows: Optional[int] = None
    shallow_layer: int = 0
    deep_layer: int = -1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rank", "model_bank_slots", "capture_rows"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"esamp: {name} must be at least 1, not {value}")
        if self.learning_rate <= 0:
            raise ValueError(f"esamp: learning_rate must be above 0, not {self.learning_rate}")
