"""Sees what goes into ``compute_logits`` and ``Sampler.sample``, what is drawn from and what comes out.

What both model runners have in common; each adds how its sampler draws.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from patchkit_worker.views import Engine, Sampling


class SamplerHooks(ABC):
    """Hooks one engine's model and sampler, below a runtime.

    Args:
        on_sampled: gets every sampling that is wanted.
        wanted: whether the step that runs now is observed.
        around: called with False before vLLM draws, with True once it has drawn.
    """

    def __init__(
        self,
        engine: Engine,
        on_sampled: Callable[[Sampling], None],
        wanted: Callable[[], bool],
        around: Callable[[bool], None],
    ) -> None:
        self._model, self._sampler = engine.model, engine.runner.sampler
        self._on_sampled, self._wanted, self._around = on_sampled, wanted, around
        self._compute: Any = self._compute_logits
        self.begin_step()
        # Looked up each time: the runtime may have replaced the methods of the classes since.
        self._sampler.sample = self._sample
        self.attach()

    def attach(self) -> None:
        """Hook ``compute_logits`` before the runtime does, again after a runtime was uninstalled."""
        if self._model.__dict__.get("compute_logits") is not self._compute:
            self._model.compute_logits = self._compute

    def begin_step(self) -> None:
        """Forget the step before."""
        self._hidden: torch.Tensor | None = None
        self._after: torch.Tensor | None = None
        self._drawn: torch.Tensor | None = None
        self._calls = 0

    def _compute_logits(self, hidden: torch.Tensor, *rest: Any, **named: Any) -> Any:
        if self._hidden is None and self._wanted():  # later calls of a step are for log-probabilities of prompts
            self._hidden = hidden.clone()
        return type(self._model).compute_logits(self._model, hidden, *rest, **named)

    @abstractmethod
    def _sample(self, logits: torch.Tensor, *given: Any, **named: Any) -> Any:
        """In place of ``Sampler.sample`` of this engine's sampler."""


def token_ids_of(output: Any) -> torch.Tensor:
    """Token ids, alone or (since vLLM 0.10.2) with processed log-probabilities."""
    return output[0] if isinstance(output, tuple) else output
