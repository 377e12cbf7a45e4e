"""Pass@k: how often a problem is solved within k samples."""

from patchkit.evals.estimator import pass_at_k

__all__ = ["pass_at_k"]
