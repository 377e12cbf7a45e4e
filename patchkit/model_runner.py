"""vLLM's two model runners, as users and evidence name them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from packaging.version import Version

from patchkit.release import parse_release

ModelRunner = Literal["v1", "v2"]
RUNNERS: tuple[ModelRunner, ...] = ("v1", "v2")
NAMES: dict[ModelRunner, str] = {"v1": "first model runner", "v2": "second model runner"}

VARIABLE = "VLLM_USE_V2_MODEL_RUNNER"
SELECTABLE = Version("0.12")
"""From this release on the variable decides; unset, vLLM chooses itself from 0.22.0 on. Both values are always said."""

DEFAULT_ON_CUDA = Version("0.23")
"""From this release on vLLM takes the second runner for Llama on CUDA, from 0.25.0 on for every dense model."""

MODULES: dict[ModelRunner, tuple[str, ...]] = {
    "v1": (
        "vllm.v1.worker.gpu_model_runner",
        "vllm.v1.worker.gpu_input_batch",
        "vllm.v1.sample.sampler",
        "vllm.v1.sample.metadata",
    ),
    "v2": ("vllm.v1.worker.gpu",),
}
"""The modules, or packages, that one runner uses and the other does not."""


def runner_of(symbols: Iterable[str]) -> ModelRunner | None:
    """The runner that has one of these symbols to itself; None if both use them."""
    for symbol in symbols:
        for runner, modules in MODULES.items():
            if any(symbol == module or symbol.startswith(f"{module}.") for module in modules):
                return runner
    return None


def variables_of(runner: ModelRunner, release: str) -> dict[str, str]:
    """The environment variable that makes vLLM ``release`` take this runner; none where there is no choice."""
    if runner == "v1" and parse_release(release) < SELECTABLE:
        return {}
    return {VARIABLE: str(RUNNERS.index(runner))}


def usual_runner(release: str, device: str) -> ModelRunner:
    """Which runner vLLM takes by itself for a dense Llama on "cpu" or "cuda"."""
    return "v2" if device == "cuda" and parse_release(release) >= DEFAULT_ON_CUDA else "v1"
