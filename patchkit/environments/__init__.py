"""Where vLLM runs: one isolated environment per release and device, and the embedded models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from patchkit.environments.environment import Environment, ensure, obtainable
    from patchkit.environments.models import ensure_model

__all__ = ["Environment", "ensure", "ensure_model", "obtainable"]


def __getattr__(name: str) -> Any:
    """Import on first use, so that ``patchkit --help`` stays instant."""
    if name in ("Environment", "ensure", "obtainable"):
        from patchkit.environments import environment

        return getattr(environment, name)
    if name == "ensure_model":
        from patchkit.environments import models

        return models.ensure_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
