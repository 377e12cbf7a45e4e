"""Whether the distillers learn in a draw, measured at every ``EVERY``th step so that the draw is not slowed down.

A measurement is two passes over the step's rows of hidden states, about the work of one layer norm; no reference runs.
It reads the runtime's own view, which the gates compare with the worker's taps.
"""

from collections import Counter
from typing import Any

from patchkit_probe.learning import Curve, Running, explained

EVERY = 8
# The last 1/LAST of the measurements make the explained variance.
LAST = 4


class SampleProbe:
    """Watches one draw with the runtime."""

    def __init__(self, runtime: Any, settings: dict[str, Any], engine: Any) -> None:
        self._runtime = runtime
        self._shared = bool(settings.get("shared"))
        self._steps = 0
        self._trained_on: Counter[int] = Counter()
        self._targets: dict[int, Running] = {}
        self._curve = Curve()
        self._measured: list[tuple[int, float, float]] = []

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
            self._measure(view, prompts)
            rows = Counter([0] * len(prompts) if self._shared else prompts)
            self._trained_on.update({prompt: count * EVERY for prompt, count in rows.items()})

    def figures(self) -> dict[str, float | int | None]:
        """See ``figures`` in ``runtime.yaml``; None where there is nothing to compute it from."""
        last = self._measured[-max(1, len(self._measured) // LAST) :] if self._measured else []
        rows = sum(one[0] for one in last)
        error = sum(one[0] * one[1] for one in last) / rows if rows else None
        mean_error = sum(one[0] * one[2] for one in last) / rows if rows else None
        variance_explained = None if error is None or mean_error is None else explained(error, mean_error)
        return {
            "explained_variance": variance_explained,
            "tokens_to_learn": self._curve.rows_to_learn(),
            "loss": error,
            "running_mean_loss": mean_error,
        }

    def _measure(self, view: Any, prompts: list[int]) -> None:
        """Errors of the predictions, and of the mean of the prompt's target rows measured before."""
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
            self._measured.append((int(seen), total / seen, mean_total / seen))
