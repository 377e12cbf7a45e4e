"""What a part does to the processes of its server, as a plugin of vLLM in each of them: kernels replaced, faults."""

import os

from patchkit_worker.wanted import WANTED

FAULTS = "PATCHKIT_FAULTS"


def load() -> None:
    """Called by vLLM before there is an engine."""
    if WANTED == "v2" and os.environ.get("TRITON_INTERPRET") == "1":
        from patchkit_worker.interpreter import prepare

        prepare()
    names = os.environ.get(FAULTS, "").split()
    if names:
        from patchkit_worker.faults import Faults

        Faults(names)
