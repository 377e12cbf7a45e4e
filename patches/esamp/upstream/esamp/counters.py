"""What the runtime did, counted where it happens; sums that live on the device are read only when asked for."""

from typing import Union

import torch

from esamp.method.intervention import Moved


class Counters:
    """Plain numbers for what Python decides, device tensors for what only the device knows: no step waits for them."""

    def __init__(self, device: torch.device) -> None:
        self.steps = 0
        self.decode_rows = 0
        self.captured_rows = 0
        self.port_hits = 0
        self.unmapped_rows = 0
        self.distiller_steps = 0
        self._intervention_rows = 0
        self._moved = torch.zeros(3, dtype=torch.int64, device=device)
        self._loss = torch.zeros(3, dtype=torch.float64, device=device)
        self._finite = torch.ones((), dtype=torch.bool, device=device)

    def add_moved(self, moved: Moved, rows: int) -> None:
        """Add what an intervention on ``rows`` rows did."""
        self._moved += torch.stack(tuple(moved))
        self._intervention_rows += rows

    def add_loss(self, loss: torch.Tensor) -> None:
        """Add one training step's loss (0-dimensional), the mean over the distillers that trained."""
        if self.distiller_steps == 0:
            self._loss[1] = loss
        self._loss[0] += loss
        self._loss[2] = loss
        self._finite &= torch.isfinite(loss)
        self.distiller_steps += 1

    def read(self) -> dict[str, Union[int, float, bool]]:
        """All counters as plain numbers; waits for the device."""
        candidates, changed, rows = self._moved.tolist()
        total, first, last = self._loss.tolist()
        return {
            "steps": self.steps,
            "decode_rows": self.decode_rows,
            "captured_rows": self.captured_rows,
            "port_hits": self.port_hits,
            "intervened_rows": rows,
            "skipped_rows": self._intervention_rows - rows,
            "unmapped_rows": self.unmapped_rows,
            "distiller_steps": self.distiller_steps,
            "loss_mean": total / max(self.distiller_steps, 1),
            "loss_first": first,
            "loss_last": last,
            "loss_finite": bool(self._finite.item()),
            "candidate_tokens": candidates,
            "moved_tokens": changed,
        }
