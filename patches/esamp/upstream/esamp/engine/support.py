"""What engine the runtime works in, and whether there is memory for its distillers; asked before the first token."""

import logging
from typing import Any

import torch

# A child of vLLM's own logger: its handlers and level hold here too.
log = logging.getLogger("vllm.esamp")

GIB, MIB = 1 << 30, 1 << 20
ADVICE = "lower max_num_seqs, gpu_memory_utilization or width, or set shared=True"


def check_supported(settings: Any) -> None:
    """Refuse an engine in which the hooks would be dead or wrong; ``settings``: ``VllmConfig``.

    Raises:
        RuntimeError: in one line, with what to change.
    """
    model = settings.model_config
    if getattr(model, "runner_type", "generate") != "generate":
        raise RuntimeError(
            f"esamp: {model.model} is run as a {model.runner_type} model; it generates no token to act on"
        )
    if not model.enforce_eager:
        raise RuntimeError("esamp: needs enforce_eager=True; a captured graph would replay without the taps")
    parallel = settings.parallel_config
    if parallel.world_size > 1 or parallel.data_parallel_size > 1:
        raise RuntimeError("esamp: runs on one device; leave tensor, pipeline and data parallel sizes at 1")
    if settings.speculative_config is not None:
        raise RuntimeError("esamp: speculative decoding samples elsewhere; leave speculative_config unset")


class Memory:
    """States what the bank may take before a run, and refuses what the device does not have.

    Args:
        device: where the bank lies.
        most: distillers that there can be at once.
        bytes_each, numbers: size of a distiller.
    """

    def __init__(self, device: torch.device, most: int, bytes_each: int, numbers: int) -> None:
        self._device, self._most, self._bytes_each, self._numbers = device, most, bytes_each, numbers
        self._stated = 0

    def state(self, prompts: int) -> None:
        """So many prompts are in the engine, waiting or running.

        Raises:
            RuntimeError: the distillers of those that can be decoded at once would not fit.
        """
        distillers = min(prompts, self._most)
        if distillers <= self._stated:
            return
        self._stated, wanted = distillers, distillers * self._bytes_each
        what = f"{distillers} distiller{'' if distillers == 1 else 's'} of {self._numbers / 1e6:.2f} M numbers"
        log.info("esamp: %s take up to %.2f GiB, %.0f MiB each", what, wanted / GIB, self._bytes_each / MIB)
        self.reserve(wanted, what)

    def reserve(self, wanted: int, what: str = "its distillers") -> None:
        """``wanted`` bytes are about to be taken.

        Raises:
            RuntimeError: there are not so many.
        """
        free = free_bytes(self._device)
        if wanted > free:
            raise RuntimeError(
                f"esamp: {what} need {wanted / GIB:.1f} GiB, {free / GIB:.1f} GiB are free on {self._device}; {ADVICE}"
            )


def free_bytes(device: torch.device) -> int:
    """Bytes that can still be had on a device, those that torch holds and does not use among them."""
    if device.type == "cuda":
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + held
    with open("/proc/meminfo", encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["MemAvailable"].split()[0]) * 1024
