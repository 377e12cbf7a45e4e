"""patchkit keeps a research runtime alive on a fast-moving vLLM.

It applies an ordered series of small patches, chosen for the vLLM release in hand, to a pinned upstream runtime, and
proves the result with gates. This package is light on purpose: vLLM and torch live in environments of their own and are
only ever imported by :mod:`patchkit.worker`.

For Python there are :class:`VLLMClient`, :class:`Bench` and :class:`PassAtK`; see docs/api.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from patchkit.bench.paired_servers import Bench
    from patchkit.client import VLLMClient
    from patchkit.evals import PassAtK

__version__ = "0.1.0"
__all__ = ["Bench", "PassAtK", "VLLMClient", "__version__"]

PUBLIC = {"Bench": "patchkit.bench.paired_servers", "PassAtK": "patchkit.evals", "VLLMClient": "patchkit.client"}


def __getattr__(name: str) -> Any:
    """Import on first use, so that ``patchkit --help`` stays instant."""
    if name in PUBLIC:
        return getattr(import_module(PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
