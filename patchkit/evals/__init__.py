"""Pass@k: how often a problem is solved within k samples, and whether two ways of sampling differ in it.

What samples are worth is said here; :mod:`patchkit.bench` draws them with a model, and measures throughput.
``benchmarks/`` in the checkout measures patchkit itself.

``pass_at_k`` and ``PassAtK`` are for any harness; they need nothing else of patchkit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from patchkit.evals.estimator import pass_at_k

if TYPE_CHECKING:
    from patchkit.evals.passatk import PassAtK

__all__ = ["PassAtK", "pass_at_k"]


def __getattr__(name: str) -> Any:  # numpy and scipy are imported only for users of PassAtK
    if name == "PassAtK":
        from patchkit.evals.passatk import PassAtK

        return PassAtK
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
