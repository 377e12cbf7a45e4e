"""A runtime that counts decode rows, and refuses a vLLM in which it would see none. Write yours in its place."""

from typing import Any

import vllm
from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.worker.gpu_input_batch import InputBatch
from vllm.v1.worker.gpu_model_runner import GPUModelRunner


class Runtime:
    """Counts from its installation on, until it is uninstalled."""

    def __init__(self, counting: bool) -> None:
        self.decode_rows = 0
        self._counting = counting
        self._unanswered = 0  # steps that were seen to begin, and whose tokens are not out yet
        self._prepare_inputs = prepare = GPUModelRunner._prepare_inputs
        self._update_from_output = update = Scheduler.update_from_output
        runtime = self

        def _prepare_inputs(runner: GPUModelRunner, scheduled: SchedulerOutput, *rest: Any) -> Any:
            prepared = prepare(runner, scheduled, *rest)
            runtime.begin_step(runner.input_batch, scheduled)
            return prepared

        def update_from_output(scheduler: Scheduler, scheduled: SchedulerOutput, *rest: Any) -> Any:
            if scheduled.total_num_scheduled_tokens:
                runtime.end_step()
            return update(scheduler, scheduled, *rest)

        GPUModelRunner._prepare_inputs = _prepare_inputs
        Scheduler.update_from_output = update_from_output

    def begin_step(self, batch: InputBatch, scheduled: SchedulerOutput) -> None:
        """The hook: the requests of a step stand in their order."""
        self._unanswered += 1
        if self._counting:
            self.decode_rows += count_decode_rows(batch, scheduled)

    def end_step(self) -> None:
        """The guard: without the hook, text reads well and every count is wrong, so no token of it may get out."""
        if not self._unanswered:
            raise RuntimeError(f"vLLM {vllm.__version__} ran a step without GPUModelRunner._prepare_inputs")
        self._unanswered -= 1

    def counters(self) -> dict[str, int]:
        """What `counters` in runtime.yaml declares, since the installation."""
        return {"decode_rows": self.decode_rows}

    def uninstall(self) -> None:
        """Leave vLLM as it was."""
        GPUModelRunner._prepare_inputs = self._prepare_inputs
        Scheduler.update_from_output = self._update_from_output


def install(counting: bool = True) -> Runtime:
    """Hook vLLM; the settings are those of `defaults` and `off` in runtime.yaml."""
    return Runtime(counting)


def count_decode_rows(batch: InputBatch, scheduled: SchedulerOutput) -> int:
    """Requests of a step that are fed one token, the one that was sampled last."""
    return sum(scheduled.num_scheduled_tokens[request_id] == 1 for request_id in batch.req_ids[: batch.num_reqs])
