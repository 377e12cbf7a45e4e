"""Observes the runtime in the worker; docs/worker-protocol.md of patchkit says when each method is called."""

from typing import Any


class Probe:
    """Adds nothing to what patchkit observes by itself."""

    def __init__(self, runtime: Any, settings: dict[str, Any], engine: Any) -> None:
        self.runtime = runtime

    def begin_step(self, step: Any) -> None:
        """Before the forward of a step."""

    def sampled(self, sampling: Any) -> None:
        """The tokens of a step are drawn."""

    def end_step(self) -> dict[str, Any] | None:
        """What the runtime's own invariants are to see of the step."""

    def poison(self) -> None:
        """Overwrite what lies behind the rows in use, in every buffer that is kept; this runtime keeps none."""

    def end_pass(self) -> dict[str, Any] | None:
        """What the runtime's own invariants are to see of the pass."""

    def remove(self) -> None:
        """Take away what the probe itself has hooked."""
