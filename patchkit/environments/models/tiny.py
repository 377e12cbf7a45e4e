"""The tiny model: a random Llama, seeded, made with the standard library in a second.

It is for gates about batch shapes, so its text need not mean anything, but it must vary: greedy text differs with the
prompt, sampled text has a few nats of entropy a token, and its end comes by itself after a few dozen tokens.
"""

from __future__ import annotations

import json
import random
from array import array
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from patchkit.environments.models.bytelevel import alphabet, stand_in
from patchkit.environments.models.tensorfile import Tensor, write_safetensors
from patchkit.environments.models.tokenizer_json import tokenizer_json

EDITION = 1
SEED = 20260424

VOCABULARY = 512
HIDDEN = 128
INNER = 256
LAYERS = 4
HEADS = 4  # of 32: attention on the CPU refuses 16
KEY_HEADS = 2
HEAD = HIDDEN // HEADS
POSITIONS = 2048

BEGIN, END = 0, 1
SPECIALS = ("<|begin|>", "<|end|>")

CONSTANT = 4.0
"""Value of channel 0 in every embedding. No layer writes to it, so that the output layer can use it as a bias."""
SPREAD = 2.2
"""Standard deviation of the logits, in nats: 6.2 nats (uniform over 512) less about half its square is left."""
END_BIAS, GARBLED_BIAS = 2.3, -9.0
"""Added to the logit of the end, and to those of bytes that are no text by themselves."""


def write(folder: Path) -> None:
    tokens = vocabulary()
    for name, content in documents(tokens).items():
        (folder / name).write_text(json.dumps(content, indent=1) + "\n")
    write_safetensors(folder / "model.safetensors", dict(weights(tokens)))


def syllables() -> list[tuple[str, str]]:
    """The merges of the tokenizer: a space and a letter, then two letters, as many as the vocabulary has room for."""
    letters, vowels = "abcdefghijklmnopqrstuvwxyz", "aeiou"
    consonants = [letter for letter in letters if letter not in vowels]
    space = stand_in(" ")
    pairs = [(space, letter) for letter in letters]
    pairs += [*product(consonants, vowels), *product(vowels, consonants), *product(vowels, vowels)]
    return pairs[: VOCABULARY - 256 - len(SPECIALS)]


def vocabulary() -> list[str]:
    """The tokens, by id."""
    return [*SPECIALS, *alphabet(), *(first + second for first, second in syllables())]


def documents(tokens: list[str]) -> dict[str, dict[str, Any]]:
    begin, end = SPECIALS
    return {
        "config.json": {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": VOCABULARY,
            "hidden_size": HIDDEN,
            "intermediate_size": INNER,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": KEY_HEADS,
            "head_dim": HEAD,
            "hidden_act": "silu",
            "max_position_embeddings": POSITIONS,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0,
            "attention_bias": False,
            "mlp_bias": False,
            "tie_word_embeddings": False,
            "torch_dtype": "float32",
            "bos_token_id": BEGIN,
            "eos_token_id": END,
        },
        "generation_config.json": {"bos_token_id": BEGIN, "eos_token_id": END},
        "tokenizer.json": tokenizer_json(tokens, [" ".join(pair) for pair in syllables()], range(len(SPECIALS))),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": begin,
            "eos_token": end,
            "clean_up_tokenization_spaces": False,
            "model_max_length": POSITIONS,
            "chat_template": "{% for message in messages %}{{ message['content'] + '\n' }}{% endfor %}",
        },
    }


def weights(tokens: list[str]) -> Iterator[tuple[str, Tensor]]:
    dice = random.Random(SEED)
    embedding = _random(dice, VOCABULARY, HIDDEN, 1.0)
    for token in range(VOCABULARY):
        embedding[token * HIDDEN] = CONSTANT
    yield "model.embed_tokens.weight", ((VOCABULARY, HIDDEN), embedding)
    for layer in range(LAYERS):
        for name, rows, columns, gain in (
            ("self_attn.q_proj", HEADS * HEAD, HIDDEN, 1.6),
            ("self_attn.k_proj", KEY_HEADS * HEAD, HIDDEN, 1.6),
            ("self_attn.v_proj", KEY_HEADS * HEAD, HIDDEN, 1.0),
            ("self_attn.o_proj", HIDDEN, HEADS * HEAD, 1.0),
            ("mlp.gate_proj", INNER, HIDDEN, 1.5),
            ("mlp.up_proj", INNER, HIDDEN, 1.0),
            ("mlp.down_proj", HIDDEN, INNER, 1.2),
        ):
            values = _random(dice, rows, columns, gain / columns**0.5)
            if name in ("self_attn.o_proj", "mlp.down_proj"):
                values[:columns] = array("f", bytes(4 * columns))
            yield f"model.layers.{layer}.{name}.weight", ((rows, columns), values)
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"model.layers.{layer}.{name}.weight", _ones(HIDDEN)
    yield "model.norm.weight", _ones(HIDDEN)
    yield "lm_head.weight", ((VOCABULARY, HIDDEN), _output(dice, tokens))


def _output(dice: random.Random, tokens: list[str]) -> array[float]:
    """The output layer: random rows, whose channel 0 holds the token's bias."""
    values = _random(dice, VOCABULARY, HIDDEN, SPREAD / HIDDEN**0.5)
    for token, spelled in enumerate(tokens):
        readable = spelled.isascii() or spelled[0] == stand_in(" ")
        values[token * HIDDEN] = 0.0 if readable else GARBLED_BIAS
    values[BEGIN * HIDDEN], values[END * HIDDEN] = GARBLED_BIAS, END_BIAS
    return values


def _random(dice: random.Random, rows: int, columns: int, spread: float) -> array[float]:
    return array("f", (dice.gauss(0.0, spread) for _ in range(rows * columns)))


def _ones(length: int) -> Tensor:
    return (length,), array("f", [1.0] * length)
