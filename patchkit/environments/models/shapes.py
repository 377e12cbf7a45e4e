"""Model folders that hold a configuration alone: the shapes of real models, for random weights made while loading."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from patchkit.files import write_atomically
from patchkit.project import cache_home


@dataclass(frozen=True)
class Shapes:
    """What the configuration of a Qwen2.5 model says."""

    hidden: int
    layers: int
    heads: int
    key_value_heads: int
    intermediate: int
    vocabulary: int


SHAPES = {
    "qwen2.5-0.5b": Shapes(896, 24, 14, 2, 4864, 151936),
    "qwen2.5-1.5b": Shapes(1536, 28, 12, 2, 8960, 151936),
    "qwen2.5-7b": Shapes(3584, 28, 28, 4, 18944, 152064),
}


def ensure_shapes(name: str) -> Path:
    """The folder of a model without weights, made if it is not there yet.

    Raises:
        KeyError: there are no shapes of that name.
        PatchkitError: it cannot be written.
    """
    folder = cache_home() / "models" / f"{name}-shapes"
    write_atomically(folder / "config.json", json.dumps(configuration(SHAPES[name]), indent=1) + "\n")
    return folder


def configuration(shapes: Shapes) -> dict[str, object]:
    """``config.json``; embeddings and output layer are not tied, as their weights differ in size."""
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_size": shapes.hidden,
        "num_hidden_layers": shapes.layers,
        "num_attention_heads": shapes.heads,
        "num_key_value_heads": shapes.key_value_heads,
        "intermediate_size": shapes.intermediate,
        "vocab_size": shapes.vocabulary,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
