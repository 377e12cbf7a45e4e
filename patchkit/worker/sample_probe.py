"""The runtime's observer of a draw: ``SampleProbe`` of its probe, called at every step once its tokens are drawn."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from patchkit_worker.observe import Batch
from patchkit_worker.probe import Guarded, load_probe
from patchkit_worker.views import Engine


@dataclass(frozen=True)
class Tokens:
    """The tokens drawn in a step, ``[requests]`` in packed order. Nothing is copied or recomputed in a draw.

    ``returned`` is what ``Sampler.sample`` gave back, ``metadata`` what it was given beside the logits: the second
    runner has no metadata and gives the states of the rows.
    """

    returned: Any
    metadata: Any


class SampleProbeRunner:
    """Calls a probe at the steps of a draw; ``seconds`` is the time that took, with its waits for the device."""

    def __init__(
        self, request: dict[str, Any], settings: dict[str, Any], runtime: Any, batch: Batch, on: Engine
    ) -> None:
        self.seconds = 0.0
        self._batch, self._sampler = batch, on.runner.sampler
        folder = request.get("probe")
        made = getattr(load_probe(folder), "SampleProbe", None)
        self._probe = Guarded(made and made(runtime, settings, on), folder)
        if self._probe:
            # On the object, as the runtime has replaced the method of the class, which is looked up each time.
            self._sampler.sample = self._sample

    def figures(self) -> dict[str, Any] | None:
        """The probe's figures of the draw; None if there is no probe."""
        with self._timed():
            figures: dict[str, Any] | None = self._probe.figures()
        return figures

    def _sample(self, logits: torch.Tensor, *given: Any, **named: Any) -> Any:
        result = type(self._sampler).sample(self._sampler, logits, *given, **named)
        with self._timed():
            self._probe.sampled(Tokens(result, given[0] if given else None), self._batch.view())
        return result

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds += time.monotonic() - began
