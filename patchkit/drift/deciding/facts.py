"""What is assumed of the model, the device and the settings, as values of the names under which code asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from patchkit.drift.deciding.values import Items, Value, constant, one

DENSE, UNQUANTISED, GENERATES = "the model is dense", "the model is not quantised", "the model generates text"
DULL = frozenset({DENSE, UNQUANTISED, GENERATES})
"""Circumstances that are the same in every question."""
MODEL: dict[str, tuple[object, str]] = {
    "runner_type": ("generate", GENERATES),
    "convert_type": ("none", GENERATES),
    "is_moe": (False, DENSE),
    "is_quantized": (False, UNQUANTISED),
    "quantization": (None, UNQUANTISED),
    "quantization_config": (None, UNQUANTISED),
    "is_hybrid": (False, DENSE),
    "has_inner_state": (False, DENSE),
    "is_attention_free": (False, DENSE),
    "use_mla": (False, DENSE),
    "is_deepseek_mla": (False, DENSE),
    "is_diffusion": (False, GENERATES),
    "is_encoder_decoder": (False, GENERATES),
    "is_cross_encoder": (False, GENERATES),
    "is_multimodal_model": (False, GENERATES),
    "is_multimodal_raw_input_only_model": (False, GENERATES),
    "multimodal_config": (None, GENERATES),
    "pooler_config": (None, GENERATES),
}
"""A dense, unquantised model that generates text, as vLLM's class ``ModelConfig`` says it."""


@dataclass(frozen=True)
class Circumstances:
    """What is assumed; everything else is at its default: off, None.

    Attributes:
        architecture: of a dense, unquantised model that generates text, ``LlamaForCausalLM``.
        device: ``cuda`` means that Triton is there, ``cpu`` that it is not.
    """

    architecture: str
    device: Literal["cuda", "cpu"]

    def of_model(self, name: str) -> Value | None:
        """What an attribute of the model's configuration is."""
        if name == "architecture":
            return constant(self.architecture, f"the model is {self.architecture}")
        if name == "architectures":
            return one(Items((constant(self.architecture),), "list"), constant(0, f"the model is {self.architecture}"))
        if name in MODEL:
            return constant(*MODEL[name])
        return None

    def of_device(self, name: str) -> Value | None:
        """What an attribute of the device's configuration or of the platform is."""
        return constant(self.device, f"the device is {self.device}") if name == "device_type" else None

    def of_name(self, name: str) -> Value | None:
        """What a name means wherever it is imported from."""
        if name == "TYPE_CHECKING":
            return constant(False)
        if name == "HAS_TRITON":
            return constant(self.device == "cuda", "Triton is there" if self.device == "cuda" else "there is no Triton")
        return None

    def of_platform(self, question: str) -> Value | None:
        """What ``current_platform.question()`` returns, for the questions what platform it is."""
        known = {
            "is_cuda": self.device == "cuda",
            "is_cuda_alike": self.device == "cuda",
            "is_cpu": self.device == "cpu",
            "is_rocm": False,
            "is_tpu": False,
            "is_xpu": False,
            "is_hpu": False,
            "is_neuron": False,
            "is_out_of_tree": False,
            "is_unspecified": False,
        }
        return constant(known[question], f"the device is {self.device}") if question in known else None


def unset(variable: object) -> str:
    """The words for an environment variable that nobody set."""
    return f"{variable} is not set"
