"""Exploratory sampling by latent distilling (arXiv 2604.24927) for vLLM's V1 engine.

``install(**settings)`` hooks vLLM and returns a :class:`Runtime`; ``Runtime.uninstall()`` takes every hook out again.
"""

from esamp.config import Config
from esamp.hooks import install
from esamp.runtime import Runtime

__all__ = ["Config", "Runtime", "install"]
