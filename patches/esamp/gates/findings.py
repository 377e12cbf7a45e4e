"""What was compared in one step, the first error of each quantity, and the largest differences."""

from collections.abc import Sequence
from typing import Any

import torch
from patchkit_probe.compare import number


class Findings:
    """One step's comparisons, by quantity: ``source``, ``target``, ``credited``, ``predicted``, ``losses``, ``logits``,
    ``state``, ``bank``."""

    def __init__(self) -> None:
        self.compared: dict[str, int] = {}
        self.differences: dict[str, float] = {}
        self.wrong: dict[str, dict[str, Any]] = {}

    def rows(
        self, quantity: str, rows: Sequence[Any], differences: torch.Tensor, most: float | torch.Tensor, what: str
    ) -> None:
        """Rows of the batch were compared; ``differences`` ``[rows]``, at most ``most``: a number or ``[rows]``."""
        self.count(quantity, len(rows))
        if not len(rows):
            return
        self._largest(quantity, differences.max().item())
        for row in (~(differences <= most)).nonzero().flatten().tolist():
            self.fail(quantity, what, differences[row].item(), rows[row])
            return

    def value(self, quantity: str, difference: float, most: float, what: str, **where: Any) -> None:
        """One value was compared."""
        self.count(quantity, 1)
        self._largest(quantity, difference)
        if not difference <= most:
            self.fail(quantity, what, difference, **where)

    def count(self, quantity: str, number: int) -> None:
        """``number`` more of this quantity were compared."""
        self.compared[quantity] = self.compared.get(quantity, 0) + number

    def fail(
        self, quantity: str, what: str, difference: float | None = None, row: Any | None = None, **where: Any
    ) -> None:
        """Record an error; only the first of each quantity is kept."""
        if row is not None:
            where = {"row": row.place, "prompt": row.prompt, "sample": row.sample, **where}
        rounded = None if difference is None else number(min(difference, 1e30))
        self.wrong.setdefault(quantity, {"what": what, "difference": rounded, **where})

    def as_json(self) -> dict[str, Any]:
        """As JSON; an infinite difference as a very large number."""
        return {
            "compared": self.compared,
            "differences": {quantity: number(min(worst, 1e30)) for quantity, worst in self.differences.items()},
            "wrong": self.wrong,
        }

    def _largest(self, quantity: str, difference: float) -> None:
        known = self.differences.get(quantity, 0.0)
        self.differences[quantity] = max(known, difference if difference == difference else float("inf"))
