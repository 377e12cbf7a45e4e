"""Which symbols are of one model runner alone."""

from __future__ import annotations

import pytest

from patchkit.model_runner import runner_of


@pytest.mark.parametrize(
    ("symbols", "runner"),
    [
        (["vllm.v1.worker.gpu_model_runner.GPUModelRunner._prepare_inputs"], "v1"),
        (["vllm.v1.sample.ops.topk_topp_sampler.TopKTopPSampler", "vllm.v1.sample.sampler.Sampler.sample"], "v1"),
        (["vllm.v1.worker.gpu.model_runner.GPUModelRunner"], "v2"),
        (["vllm.v1.worker.gpu_worker.Worker.init_device"], None),
        (["vllm.v1.engine.llm_engine.LLMEngine.add_request"], None),
        (["package.rows.publish"], None),
        ([], None),
    ],
)
def test_what_the_other_runner_never_reaches(symbols: list[str], runner: str | None) -> None:
    assert runner_of(symbols) == runner
