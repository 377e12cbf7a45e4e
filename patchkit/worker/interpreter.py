"""The second model runner's kernels in Triton's interpreter, on the CPU: for the worker, and as a plugin of vLLM.

Two that it cannot run are replaced; a verdict says of these that they were replaced and not tested. All others are
vLLM's own, for one of which the interpreter itself is corrected.
"""

from typing import Any

import torch

REPLACED = ("top-k/top-p kernel", "Gumbel draw")
"""What is not vLLM's own, as evidence names it."""
READY = "ready_for_vllm"


def prepare() -> list[str]:
    """Get the interpreter ready, once a process; returns what was replaced.

    An environment for the second runner has a copy of this file as a plugin of vLLM, which calls it in every process
    that vLLM starts.
    """
    from triton.runtime import interpreter

    if not hasattr(interpreter, READY):
        setattr(interpreter, READY, True)
        store_with_any_mask()
        overflow_as_compiled()
        take_rows_whole()
        pin_nothing()
        replace_kernels()
    return list(REPLACED)


def store_with_any_mask() -> None:
    """Let a kernel store behind a mask that was computed from numbers: what is not 0 is true, as when compiled."""
    from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

    store = InterpreterBuilder.create_masked_store

    def create_masked_store(builder: Any, pointers: Any, value: Any, mask: Any, *given: Any) -> Any:
        if mask.data.dtype != bool:
            mask = TensorHandle(mask.data.astype(bool), mask.dtype)
        return store(builder, pointers, value, mask, *given)

    InterpreterBuilder.create_masked_store = create_masked_store


def overflow_as_compiled() -> None:
    """Do not check every sum for overflow, which compiled kernels do only to be debugged: it takes half of the time."""
    from triton.runtime.interpreter import interpreter_builder

    object.__setattr__(interpreter_builder.options, "sanitize_overflow", False)


class WholeRows:
    """A kernel that walks along a row in blocks, launched with one block: the interpreter's time is by the block."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        launch = self._kernel[grid]

        def whole(logits: torch.Tensor, *given: Any, **named: Any) -> Any:
            return launch(logits, *given, **{**named, "BLOCK_SIZE": 1 << (logits.shape[1] - 1).bit_length()})

        return whole


def take_rows_whole() -> None:
    """Let vLLM's min-p kernel do in 3 ms a row what takes it 51 at a vocabulary of 49,152; it computes the same."""
    import vllm.v1.worker.gpu.sample.min_p as min_p

    min_p._min_p_kernel = WholeRows(min_p._min_p_kernel)


class Unpinned:
    """The module ``torch`` where there is no GPU that memory could be pinned for."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    @staticmethod
    def tensor(*given: Any, pin_memory: bool = False, **named: Any) -> torch.Tensor:
        return torch.tensor(*given, **named)


def pin_nothing() -> None:
    """Let work what asks for pinned memory whatever the device is: grammars up to 0.27.1, copies to it in 0.23.0."""
    import vllm.utils.torch_utils as copies
    import vllm.v1.worker.gpu.structured_outputs as grammars

    if not hasattr(grammars, "PIN_MEMORY"):
        grammars.torch = Unpinned()
    if getattr(copies, "PIN_MEMORY", False):
        copies.torch = Unpinned()


def replace_kernels() -> None:
    """Replace two kernels."""
    import vllm.v1.sample.ops.topk_topp_sampler as filters
    import vllm.v1.worker.gpu.sample.gumbel as gumbel
    import vllm.v1.worker.gpu.sample.sampler as sampler

    # vLLM's own function in PyTorch, which it uses itself for few rows.
    filters.apply_top_k_top_p_triton = filters.apply_top_k_top_p_pytorch
    gumbel.gumbel_sample = sampler.gumbel_sample = draw


def draw(
    logits: torch.Tensor,
    mapping: torch.Tensor,
    temperature: torch.Tensor,
    seeds: torch.Tensor,
    positions: torch.Tensor,
    apply_temperature: bool,
    *rest: Any,
    **named: Any,
) -> torch.Tensor:
    """``[rows]`` token ids: the highest logit, plus Gumbel noise unless the row's temperature is 0.

    The noise of a row is decided by the seed of its request and its position alone, as in vLLM's kernel; it is other
    noise than the kernel's.

    Args:
        logits: ``[rows, vocabulary]``.
        mapping: ``[rows]`` the state of each row's request.
        temperature, seeds: ``[states]``.
        positions: ``[rows]`` of the token before the one that is drawn.
        apply_temperature: whether the logits are yet to be divided by it.
    """
    logits, heat = logits.float(), temperature[mapping]
    noised = logits.clone()
    for row, (hot, seed, position) in enumerate(
        zip(heat.tolist(), seeds[mapping].tolist(), positions.tolist(), strict=True)
    ):
        if hot == 0:
            continue
        if apply_temperature:
            noised[row] /= hot
        generator = torch.Generator().manual_seed((seed * 1_000_003 + position) % (1 << 62))
        uniform = torch.rand(logits.shape[1], generator=generator).clamp_min(1e-20)
        noised[row] -= (-uniform.log()).log()
    return noised.argmax(dim=1)
