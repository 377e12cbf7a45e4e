"""Runs a hostile Python program so that it can do no harm, and says how well it was confined.

Namespaces where the host allows them, bubblewrap where it is allowed more than we are, and limits always.
"""

from patchkit.evals.sandbox.confine import ACCEPT, Confinement, confinement, required
from patchkit.evals.sandbox.limits import SandboxLimits
from patchkit.evals.sandbox.running import Ending, Running, Way, combined, finish, run, start

__all__ = [
    "ACCEPT",
    "Confinement",
    "Ending",
    "Running",
    "SandboxLimits",
    "Way",
    "combined",
    "confinement",
    "finish",
    "required",
    "run",
    "start",
]
