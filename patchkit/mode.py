"""How vLLM runs a model's forward pass, as users and evidence name it."""

from __future__ import annotations

from typing import Literal

Mode = Literal["eager", "graphs"]
"""Operation by operation, as Python; or compiled, and on CUDA replayed from graphs (``enforce_eager=False``)."""
MODES: tuple[Mode, ...] = ("eager", "graphs")
