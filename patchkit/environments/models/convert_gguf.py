"""Turn a Llama model with a byte-level tokenizer from a GGUF file into a folder in Hugging Face's format.

A script for a throw-away interpreter with gguf, numpy and safetensors: ``python convert_gguf.py FILE FOLDER``.
"""

# mypy: ignore-errors

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize
from safetensors.numpy import save_file
from tokenizer_json import tokenizer_json  # beside this script

CONTROL = 3  # GGUF's token type of special tokens
NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def convert(source: Path, folder: Path) -> None:
    reader = GGUFReader(str(source))
    fields = {key: field.contents() for key, field in reader.fields.items()}
    heads, key_heads = fields["llama.attention.head_count"], fields["llama.attention.head_count_kv"]
    tensors = {}
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if ".attn_q." in tensor.name:
            values = interleaved_to_halves(values, heads)
        elif ".attn_k." in tensor.name:
            values = interleaved_to_halves(values, key_heads)
        tensors[full_name(tensor.name)] = np.ascontiguousarray(compact(values, tensor.name))
    save_file(tensors, str(folder / "model.safetensors"), metadata={"format": "pt"})
    for name, content in documents(fields).items():
        (folder / name).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def full_name(name: str) -> str:
    """``blk.3.attn_q.weight`` as ``model.layers.3.self_attn.q_proj.weight``."""
    *layer, part, kind = name.split(".")
    return f"model.layers.{layer[1]}.{NAMES[part]}.{kind}" if layer else f"{NAMES[part]}.{kind}"


def interleaved_to_halves(values: np.ndarray, heads: int) -> np.ndarray:
    """Undo GGUF's order of rotary channels (pairs beside each other) for Hugging Face's (first half, second half)."""
    rows, columns = values.shape
    return values.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def compact(values: np.ndarray, name: str) -> np.ndarray:
    """``values`` as float16, which halves the file and adds far less error than the 4 bits they come from."""
    halved = values.astype(np.float16)
    error = np.abs(halved.astype(np.float32) - values).max() / np.abs(values).max()
    if not error < 2**-11:
        raise SystemExit(f"{name}: float16 loses too much ({error:.2e} of the largest value)")
    return halved


def documents(fields: dict) -> dict[str, dict]:
    begin, end = fields["tokenizer.ggml.bos_token_id"], fields["tokenizer.ggml.eos_token_id"]
    unknown, padding = fields["tokenizer.ggml.unknown_token_id"], fields["tokenizer.ggml.padding_token_id"]
    tokens, kinds = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    special = [i for i, kind in enumerate(kinds) if kind == CONTROL]
    hidden, heads = fields["llama.embedding_length"], fields["llama.attention.head_count"]
    return {
        "config.json": {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": fields["llama.vocab_size"],
            "hidden_size": hidden,
            "intermediate_size": fields["llama.feed_forward_length"],
            "num_hidden_layers": fields["llama.block_count"],
            "num_attention_heads": heads,
            "num_key_value_heads": fields["llama.attention.head_count_kv"],
            "head_dim": hidden // heads,
            "hidden_act": "silu",
            "max_position_embeddings": fields["llama.context_length"],
            "rms_norm_eps": round(fields["llama.attention.layer_norm_rms_epsilon"], 10),
            "rope_theta": fields["llama.rope.freq_base"],
            "attention_bias": False,
            "mlp_bias": False,
            "tie_word_embeddings": True,
            "torch_dtype": "bfloat16",
            "bos_token_id": begin,
            "eos_token_id": end,
            "pad_token_id": padding,
        },
        "generation_config.json": {"bos_token_id": begin, "eos_token_id": end, "pad_token_id": padding},
        "tokenizer.json": tokenizer_json(tokens, fields["tokenizer.ggml.merges"], special, digits_alone=True),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": tokens[begin],
            "eos_token": tokens[end],
            "unk_token": tokens[unknown],
            "pad_token": tokens[padding],
            "clean_up_tokenization_spaces": False,
            "model_max_length": fields["llama.context_length"],
            "chat_template": fields["tokenizer.chat_template"],
        },
    }


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
