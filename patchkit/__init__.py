"""patchkit keeps a research runtime alive on a fast-moving vLLM.

It applies an ordered series of small patches, chosen for the vLLM release in hand, to a pinned upstream runtime, and
proves the result with gates. This package is light on purpose: vLLM and torch live in environments of their own and are
only ever imported by :mod:`patchkit.worker`.
"""

__version__ = "0.1.0"
