"""Exploratory sampling by latent distilling (arXiv 2604.24927) for vLLM's V1 engine.

``install(preset="paper", **settings)`` hooks vLLM and returns a :class:`Runtime`; ``Runtime.uninstall()`` takes every
hook out again.
"""

from esamp.config import PRESETS, Config
from esamp.engine.hooks import install
from esamp.runtime import Runtime

__all__ = ["PRESETS", "Config", "Runtime", "install"]
