"""Sizes an engine so that a whole draw is in flight at once, within the memory there is."""

import os
from typing import Any

from transformers import AutoConfig

BLOCK = 32  # tokens a block of the cache of keys and values on the CPU
BUDGET = {"cpu": 2048, "cuda": 16384}  # tokens a step; the CPU's warm-up takes as long as a full step
SHARE = 0.5  # of free memory, for the cache on the CPU
MOST_ROWS = 1024  # rows a step on CUDA: their logits alone are half a gigabyte


def engine_settings(
    model: str,
    device: str,
    prompts: list[tuple[int, int]],
    max_tokens: int,
    given: dict[str, Any],
    neighbours: int = 1,
) -> dict[str, Any]:
    """Keyword arguments of ``vllm.LLM`` for a draw; ``given`` goes on top.

    Args:
        prompts: tokens and samples of each prompt.
        max_tokens: the most that a sample may have.
        neighbours: processes that share the memory of this machine's CPU.

    Raises:
        ValueError: a sample does not fit the model.
    """
    config = AutoConfig.from_pretrained(model).get_text_config()
    longest, rows = max(tokens for tokens, _ in prompts), sum(samples for _, samples in prompts)
    length, limit = longest + max_tokens, getattr(config, "max_position_embeddings", None)
    if limit and length > limit:
        raise ValueError(f"a prompt of {longest} tokens and {max_tokens} new ones do not fit the model's {limit}")
    settings: dict[str, Any] = {"max_model_len": length, "max_num_batched_tokens": max(length, BUDGET[device])}
    if device == "cpu":
        size = 4 if given.get("dtype", "float32") == "float32" else 2
        rows, blocks = fit(prompts, max_tokens, int(SHARE / neighbours * free_memory() / block_bytes(config, size)))
        # A seeded prompt that the budget splits raises on the CPU (vLLM 0.20.0), so none is split.
        settings |= {"enable_chunked_prefill": False, "num_gpu_blocks_override": blocks}
    else:
        rows = min(rows, MOST_ROWS)
        settings |= {"gpu_memory_utilization": 0.85}
    return {**settings, "max_num_seqs": rows, **given}


def fit(prompts: list[tuple[int, int]], max_tokens: int, available: int) -> tuple[int, int]:
    """Rows in flight at once, and the blocks that they need at most, in ``available`` blocks.

    The samples of a prompt share its blocks. Where they do not all fit, as many rows run as fit at their full length:
    a row that is preempted has its prompt computed again.
    """
    new = -(-max_tokens // BLOCK) + 2
    rows, shared = sum(samples for _, samples in prompts), sum(-(-tokens // BLOCK) for tokens, _ in prompts)
    if shared + rows * new <= available:
        return rows, shared + rows * new
    each = new + max(-(-tokens // BLOCK) for tokens, _ in prompts)
    rows = max(1, min(rows, available // each))
    return rows, rows * each


def block_bytes(config: Any, size: int) -> int:
    """Bytes of the keys and values of one block, over all layers."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * config.num_hidden_layers * heads * width * BLOCK * size


def free_memory() -> int:
    """Bytes of memory that this machine has available."""
    with open("/proc/meminfo") as file:  # noqa: PTH123 - as os.sysconf does not count what caches would give back
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in fields else os.sysconf("SC_AVPHYS_PAGES")
