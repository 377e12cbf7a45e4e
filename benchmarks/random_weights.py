"""A model folder with random weights of a real model's shapes, for speed where no weights can be had.

    python benchmarks/random_weights.py qwen2.5-0.5b OUT TOKENIZER

Run with an interpreter that has torch and safetensors, on CUDA; TOKENIZER is any model folder, whose tokenizer is
copied. The final norm is 1 and the head's standard deviation 10 / sqrt(hidden), so that logits are peaked and filters
keep a few tokens, as with real weights. Never use it for accuracy.
"""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file


@dataclass(frozen=True)
class Shapes:
    """What the configuration of a Qwen2.5 model says."""

    hidden: int
    layers: int
    heads: int
    key_value_heads: int
    intermediate: int
    vocabulary: int

    @property
    def head(self) -> int:
        return self.hidden // self.heads


MODELS = {
    "qwen2.5-0.5b": Shapes(896, 24, 14, 2, 4864, 151936),
    "qwen2.5-7b": Shapes(3584, 28, 28, 4, 18944, 152064),
}


def weights(shapes: Shapes) -> dict[str, torch.Tensor]:
    """Every tensor by its name, bfloat16, on the CPU."""
    generator = torch.Generator("cuda").manual_seed(0)

    def normal(*size: int, deviation: float = 0.02) -> torch.Tensor:
        made = torch.empty(size, device="cuda", dtype=torch.bfloat16)
        return made.normal_(0, deviation, generator=generator).cpu()

    hidden, query, key = shapes.hidden, shapes.heads * shapes.head, shapes.key_value_heads * shapes.head
    ones = torch.ones(hidden, dtype=torch.bfloat16)
    found = {
        "model.embed_tokens.weight": normal(shapes.vocabulary, hidden),
        "lm_head.weight": normal(shapes.vocabulary, hidden, deviation=10 / hidden**0.5),
        "model.norm.weight": ones.clone(),
    }
    projections = {
        "self_attn.q_proj": (query, hidden),
        "self_attn.k_proj": (key, hidden),
        "self_attn.v_proj": (key, hidden),
        "self_attn.o_proj": (hidden, query),
        "mlp.gate_proj": (shapes.intermediate, hidden),
        "mlp.up_proj": (shapes.intermediate, hidden),
        "mlp.down_proj": (hidden, shapes.intermediate),
    }
    for layer in range(shapes.layers):
        prefix = f"model.layers.{layer}."
        found |= {f"{prefix}{name}.weight": normal(*size) for name, size in projections.items()}
        for name, width in (("q", query), ("k", key), ("v", key)):
            found[f"{prefix}self_attn.{name}_proj.bias"] = torch.zeros(width, dtype=torch.bfloat16)
        for name in ("input_layernorm", "post_attention_layernorm"):
            found[f"{prefix}{name}.weight"] = ones.clone()
    return found


def configuration(shapes: Shapes) -> dict[str, object]:
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


def main() -> None:
    if len(sys.argv) != 4 or sys.argv[1] not in MODELS:
        sys.exit(f"usage: random_weights.py {{{','.join(MODELS)}}} OUT TOKENIZER")
    shapes, out, tokenizer = MODELS[sys.argv[1]], Path(sys.argv[2]), Path(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    save_file(weights(shapes), out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(configuration(shapes), indent=2))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / name, out / name)


if __name__ == "__main__":
    main()
