"""Did the distillers learn in a draw? Looked at every ``EVERY``th step, so that the draw takes no longer for it.

A look is two passes over the step's rows of hidden states, about as much as one layer norm does; no reference runs.
What it reads is the runtime's own view, which the gates hold against the worker's cut.
"""

from collections import Counter
from typing import Any

from patchkit_probe.learning import Curve, Running, explained

EVERY = 8
# Looks that are kept; a quarter of them, the last, makes the explained variance.
LAST = 4


class DrawProbe:
    """Watches one draw with the runtime."""

    def __init__(self, runtime: Any, settings: dict[str, Any], engine: Any) -> None:
        self._runtime = runtime
        self._shared = bool(settings.get("shared"))
        self._steps = 0
        self._trained_on: Counter[int] = Counter()
        self._targets: dict[int, Running] = {}
        self._curve = Curve()
        self._looks: list[tuple[int, float, float]] = []

    def sampled(self, sampling: Any, step: Any) -> None:
        """A step's tokens were drawn."""
        decode = [row for row in step.rows if row.decode]
        if not decode:
            return
        self._steps += 1
        if self._steps % EVERY:
            return
        # Only now: on CUDA the view waits for the training step that runs beside the sampling.
        view = self._runtime.view()
        if view is not None and view.count:
            prompts = [owner[0] for owner in view.owners]
            self._look(view, prompts)
            rows = Counter([0] * len(prompts) if self._shared else prompts)
            self._trained_on.update({prompt: count * EVERY for prompt, count in rows.items()})

    def figures(self) -> dict[str, float | int | None]:
        """See ``figures`` in ``runtime.yaml``; None where there is nothing to compute it from."""
        last = self._looks[-max(1, len(self._looks) // LAST) :] if self._looks else []
        rows = sum(look[0] for look in last)
        error = sum(look[0] * look[1] for look in last) / rows if rows else None
        mean_error = sum(look[0] * look[2] for look in last) / rows if rows else None
        variance_explained = None if error is None or mean_error is None else explained(error, mean_error)
        return {
            "explained_variance": variance_explained,
            "tokens_to_learn": self._curve.rows_to_learn(),
            "loss": error,
            "running_mean_loss": mean_error,
        }

    def _look(self, view: Any, prompts: list[int]) -> None:
        """Errors of the predictions, and of the mean of the prompt's target rows at the looks before."""
        target, predicted = view.target[: view.count].float(), view.predicted[: view.count].float()
        rows_of: dict[int, list[int]] = {}
        for row, prompt in enumerate(prompts):
            rows_of.setdefault(prompt, []).append(row)
        seen = total = mean_total = 0.0
        for prompt, rows in rows_of.items():
            running = self._targets.setdefault(prompt, Running())
            error, mean_error = (predicted[rows] - target[rows]).square().mean().item(), running.error(target[rows])
            running.add(target[rows])
            if mean_error is None:
                continue
            self._curve.add(self._trained_on[0 if self._shared else prompt], len(rows), error, mean_error)
            seen, total, mean_total = seen + len(rows), total + error * len(rows), mean_total + mean_error * len(rows)
        if seen:
            self._looks.append((int(seen), total / seen, mean_total / seen))
