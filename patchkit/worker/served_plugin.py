"""What a part does to the processes of its server, as a plugin of vLLM in each of them: kernels replaced, faults."""

import os
from pathlib import Path
from typing import Any

from patchkit_worker.wanted import WANTED

FAULTS = "PATCHKIT_FAULTS"
RUNNERS = "PATCHKIT_RUNNERS"  # a file to which each worker adds the class of its model runner


def load() -> None:
    """Called by vLLM before there is an engine."""
    if WANTED == "v2" and os.environ.get("TRITON_INTERPRET") == "1":
        from patchkit_worker.interpreter import prepare

        prepare()
    if RUNNERS in os.environ:
        tell_runners(Path(os.environ[RUNNERS]))
    names = os.environ.get(FAULTS, "").split()
    if names:
        from patchkit_worker.faults import Faults

        Faults(names)


def tell_runners(file: Path) -> None:
    """Each worker of this process says which model runner it has made."""
    from vllm.v1.worker.worker_base import WorkerWrapperBase

    make = WorkerWrapperBase.init_device

    def init_device(worker: Any, *given: Any, **named: Any) -> Any:
        made = make(worker, *given, **named)
        lineage = type(worker.worker.model_runner).__mro__  # a fault may have put a class of its own before vLLM's
        kind = next(one for one in lineage if one.__module__.startswith("vllm."))
        with file.open("a") as lines:
            lines.write(f"{kind.__module__}.{kind.__qualname__}\n")
        return made

    WorkerWrapperBase.init_device = init_device
