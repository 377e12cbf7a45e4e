"""The environment variables under which a worker runs vLLM."""

from __future__ import annotations

from packaging.version import Version

from patchkit.model_runner import ModelRunner, variables_of
from patchkit.release import parse_release

EVERYWHERE = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # one process: the worker wraps the engine's own objects
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",  # whoever asks for a model of the hub overrides it
    "TOKENIZERS_PARALLELISM": "false",
}
ON_CPU = {
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_CPU_SGL_KERNEL": "0",
    "TORCHDYNAMO_DISABLE": "1",  # the sampler is compiled even under enforce_eager: 13 s of load instead of 2
    "OMP_NUM_THREADS": "1",
    # What a step frees is kept for the next one: otherwise the kernel clears 300 MB of pages a second.
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(512 << 20),
}
WITH_BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}
"""In environments of patchkit's own. Containers often set it, and then every import of vLLM compiles 9 s of source."""
INTERPRETED = {"TRITON_INTERPRET": "1"}  # on a CPU nothing compiles the second runner's kernels


def variables_for(release: str, device: str, runner: ModelRunner = "v1") -> dict[str, str]:
    """Variables for a worker that runs vLLM ``release`` on ``device`` ("cpu" or "cuda") with this model runner."""
    on_device = ON_CPU | _unbound_threads(release) if device == "cpu" else {}
    interpreted = INTERPRETED if (device, runner) == ("cpu", "v2") else {}
    return EVERYWHERE | on_device | interpreted | variables_of(runner, release)


def _unbound_threads(release: str) -> dict[str, str]:
    """Keep vLLM from tying its thread to one core: two workers side by side would share that core."""
    unbound = "all" if parse_release(release) < Version("0.12") else "nobind"
    return {"VLLM_CPU_OMP_THREADS_BIND": unbound}
