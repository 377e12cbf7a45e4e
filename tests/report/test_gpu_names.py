"""The short name of a GPU, in the README's table and on the site."""

from __future__ import annotations

import pytest

from patchkit.report.phrases import short_gpu


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H200", "H200"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA A100-SXM4-80GB", "A100-SXM4"),
        ("NVIDIA A100 80GB PCIe", "A100 PCIe"),
        ("NVIDIA GeForce RTX 4090", "GeForce RTX 4090"),
        ("AMD Instinct MI300X", "Instinct MI300X"),
        ("Tesla T4", "Tesla T4"),
        ("NVIDIA", "NVIDIA"),
        ("80GB", "80GB"),
    ],
)
def test_a_gpu_is_named_without_its_vendor_and_its_memory(name: str, short: str) -> None:
    assert short_gpu(name) == short
